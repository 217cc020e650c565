"""A long history: whether a month costs more where many months are than where few are.

One process loads the months one after another into stores and a Dagster database without any. After
the first ten and after the last ten, the commands that look at all months are timed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import OURS, Bench, Contender, Result, Work
from benchmarks.inputs import WARM_UP, folder_of, published
from benchmarks.processes import ContestError, Facts
from benchmarks.runs import publish_from, warm_worker
from benchmarks.servers import forget_months, running_stack
from taxi_platform.trips.month import TripMonth

MONTHS = int(os.environ.get("TAXI_BENCH_HISTORY", "120"))
PART = min(10, MONTHS // 2)
"""How many months are the first and the last ones."""

COLORS = ("green", "yellow")
FIRST_YEAR = 2014

FIRST, LAST = "first", "last"
COMMANDS = {
    "doctor": ("doctor",),
    "status": ("status",),
    "missing_only": (
        "backfill",
        "--color",
        "green",
        "--from",
        f"{FIRST_YEAR}-01",
        "--missing-only",
    ),
}


def months() -> list[TripMonth]:
    """The months, those of both colors in turn: all of a time when CSV was published."""
    return [
        TripMonth.from_key(f"{color}|{FIRST_YEAR + number // 12}-{number % 12 + 1:02}")
        for number in range(MONTHS // len(COLORS))
        for color in COLORS
    ]


def _inputs(rows: int) -> None:
    for month in (WARM_UP, *months()):
        published(month, rows)


def _before(rows: int) -> None:
    forget_months()
    publish_from(f"file://{folder_of(rows)}")
    os.environ["TAXI_FIRST_MONTH"] = f"{FIRST_YEAR}-01"


def _work(_rows: int) -> Work:
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        instance.wipe()
    run = warm_worker(WARM_UP)

    def work() -> Facts:
        facts: Facts = {}
        seconds = []
        for number, month in enumerate(months(), start=1):
            start = time.perf_counter()
            run(month)
            seconds.append(time.perf_counter() - start)
            if number in (PART, MONTHS):
                which = FIRST if number == PART else LAST
                facts[f"{which}_months"] = sum(seconds[-PART:])
                facts |= {f"{which}_{name}": _timed(name, month) for name in COMMANDS}
        return facts | {"seconds": sum(seconds)}

    return work


def _timed(name: str, last: TripMonth) -> float:
    """The seconds of a command, with the start of its process."""
    more = ("--to", last.year_month) if name == "missing_only" else ()
    program = str(Path(sys.executable).with_name("taxi-platform"))
    start = time.perf_counter()
    done = subprocess.run(
        [program, *COMMANDS[name], *more], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ContestError(f"{name}: {done.stdout}{done.stderr}")
    return time.perf_counter() - start


def _compare(results: Sequence[Result]) -> dict[str, float]:
    """The last part's seconds by those of the first part."""
    return {
        name: round(result.more[f"{LAST}_{name}"] / result.more[f"{FIRST}_{name}"], 4)
        for result in results
        for name in ("months", *COMMANDS)
    }


BENCH = Bench(
    name="history",
    rows=1_000,
    contenders=(Contender(OURS, _work, before=_before),),
    compare=_compare,
    inputs=_inputs,
    handled=lambda rows: rows * MONTHS,
    surroundings=lambda _rows: running_stack(),
)
