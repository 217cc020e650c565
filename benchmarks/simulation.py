"""Simulates many months on many workers: ``python -m benchmarks.simulation [--months N]``.

A worker is a core of its own, which takes one month at a time through its stages. Stages that need
the source or the database's cores share them equally. What a stage costs was measured on one
machine; what depends on a network or on BigQuery is assumed, and can be set.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WORKERS = (1, 2, 4, 8, 16, 32)
POSTGRES_CORES = (2, 8)

SOURCE, POSTGRES = "the source", "Postgres"
SOON = 1e-9
"""Seconds: less is a matter of rounding."""

GOLDEN = 0.618034

FULL = 0.95
"""How busy a resource is that holds up everything else."""

FILE_MEGABYTES = 50.0
"""Of the TLC's yellow months of 2024 in Parquet, with 3 million rows."""

# Measured on two cores, of 3 million rows, in a warm process (2026-11-28).
OWN_SECONDS = 1.1
"""Hashes, uploads, the smaller checks, and Dagster's events."""

CLEAN_SECONDS = 1.9
"""On one core."""

COPY_SECONDS = 4.0
"""With the index, statistics and exchange; a core of the server is busy meanwhile."""

COUNT_SECONDS = 1.8
"""The check that adds up the month in Postgres, on a core of the server."""


@dataclass(frozen=True)
class Stage:
    """What a month does at one time.

    Attributes:
        name: of the stage.
        work: seconds that it takes alone, with as much of the resource as it can use.
        resource: what it shares with the same stage of other months, if anything.
        share: how much of the resource it uses alone.
    """

    name: str
    work: float
    resource: str | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What a simulation gives.

    Attributes:
        seconds: until the last month has ended.
        busy: how much of each resource was used, between 0 and 1.
    """

    seconds: float
    busy: Mapping[str, float]


def simulate(
    stages: Sequence[Stage], capacities: Mapping[str, float], workers: int, months: int
) -> Outcome:
    """Runs months through their stages, as many at a time as there are workers.

    Args:
        stages: of each month, one after another.
        capacities: of the resources, in the unit of the stages' shares.
        workers: how many.
        months: how many.
    """
    waiting = [_size(number) for number in range(months)]
    clock = 0.0
    used = dict.fromkeys(capacities, 0.0)
    running: list[_Month] = []
    while waiting or running:
        while waiting and len(running) < workers:
            size = waiting.pop()
            running.append(_Month(size, 0, stages[0].work * size))
        wanted = dict.fromkeys(capacities, 0.0)
        for month in running:
            if resource := stages[month.stage].resource:
                wanted[resource] += stages[month.stage].share
        speeds = {name: min(1.0, capacities[name] / (most or 1)) for name, most in wanted.items()}
        step = min(month.left / _speed(stages[month.stage], speeds) for month in running)
        clock += step
        for month in running:
            stage = stages[month.stage]
            month.left -= _speed(stage, speeds) * step
            if stage.resource:
                used[stage.resource] += _speed(stage, speeds) * stage.share * step
            if month.left < SOON:
                month.stage += 1
                month.left = (
                    stages[month.stage].work * month.size if month.stage < len(stages) else 0
                )
        running = [month for month in running if month.stage < len(stages)]
    return Outcome(clock, {name: used[name] / (clock * most) for name, most in capacities.items()})


@dataclass
class _Month:
    """A month in progress: its size, its stage, and the seconds of work that are left of it."""

    size: float
    stage: int
    left: float


def _size(number: int) -> float:
    """Months are of different sizes, half to one and a half of the mean, in no order.

    Months of one size would go through their stages hand in hand, which no real ones do.
    """
    return 0.5 + number * GOLDEN % 1


def _speed(stage: Stage, speeds: Mapping[str, float]) -> float:
    return speeds[stage.resource] if stage.resource else 1.0


def month_of_trips(megabytes: float, bigquery_seconds: float) -> list[Stage]:
    """The stages of a Parquet month of 3 million rows of 50 MB, without marts.

    Args:
        megabytes: a second that one download gets alone.
        bigquery_seconds: what a load job and the queries after it take.
    """
    return [
        Stage("hash, check, record", OWN_SECONDS),
        Stage("download", FILE_MEGABYTES / megabytes, SOURCE, megabytes),
        Stage("clean", CLEAN_SECONDS),
        Stage("upload and BigQuery", bigquery_seconds),
        Stage("copy", COPY_SECONDS, POSTGRES),
        Stage("count", COUNT_SECONDS, POSTGRES),
    ]


def _table(chosen: argparse.Namespace) -> list[str]:
    stages = month_of_trips(chosen.download_mb, chosen.bigquery_seconds)
    lines = [
        "| workers | "
        + " | ".join(f"{cores} cores of Postgres" for cores in POSTGRES_CORES)
        + " |",
        "|---:|" + "---:|" * len(POSTGRES_CORES),
    ]
    for workers in WORKERS:
        cells = [
            _cell(
                simulate(
                    stages, {SOURCE: chosen.source_mb, POSTGRES: cores}, workers, chosen.months
                )
            )
            for cores in POSTGRES_CORES
        ]
        lines.append(f"| {workers} | {' | '.join(cells)} |")
    return lines


def _cell(outcome: Outcome) -> str:
    full = [f"{name} full" for name, busy in outcome.busy.items() if busy > FULL]
    return ", ".join([f"{outcome.seconds / 60:.1f} min", *full])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument(
        "--download-mb", type=float, default=20, help="MB a second of one download alone"
    )
    parser.add_argument(
        "--source-mb", type=float, default=125, help="MB a second of all downloads: your network"
    )
    parser.add_argument(
        "--bigquery-seconds", type=float, default=12, help="of a load job and the queries after it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    print("\n".join(_table(_arguments())))
