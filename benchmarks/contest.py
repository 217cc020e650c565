"""Contenders in turn, each in a process of its own; medians, peaks and ratios.

Nothing here knows what is measured.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.processes import Facts, watch

OURS = "taxi_platform"

Work = Callable[[], Facts | None]
"""The timed work. It may return further values; its own ``seconds`` replace the clock's."""


def seconds_by_theirs(ours: str, *peers: str) -> Callable[[Sequence["Result"]], dict[str, float]]:
    """Our seconds divided by each participating peer's, for the same rows."""

    def compare(results: Sequence["Result"]) -> dict[str, float]:
        seconds = {result.contender: result.seconds for result in results}
        if ours not in seconds:
            return {}
        return {p: round(seconds[ours] / seconds[p], 4) for p in peers if p in seconds}

    return compare


def nothing(_rows: int) -> None:
    """For a contender that needs no preparation between rounds."""


def no_facts(_seconds: float, _since: datetime) -> Facts:
    """For a contender without further values."""
    return {}


@dataclass(frozen=True)
class Contender:
    """One way to do a benchmark's work.

    Attributes:
        name: as the results call it.
        prepare: in the contender's own process, untimed: imports what it needs and gives the work.
        command: instead of ``prepare``, the command line that is the contender.
        before: in the measuring process, untimed, before each round; given the bench's rows.
        after: in the measuring process, untimed; given the contender's seconds and when it began,
            says more of it, or other seconds.
    """

    name: str
    prepare: Callable[[int], Work] | None = None
    command: Callable[[int], Sequence[str]] | None = None
    before: Callable[[int], None] = nothing
    after: Callable[[float, datetime], Facts] = no_facts


@dataclass(frozen=True)
class Bench:
    """A benchmark and its contenders.

    Attributes:
        name: as on the command line.
        rows: by default.
        contenders: ours and the peers.
        compare: the ratios of the closing line, of those that took part.
        handled: how many rows the work handles, of an input of so many; by default all.
        inputs: makes what all contenders read, before the first round.
        surroundings: what must be up meanwhile; given the rows.
    """

    name: str
    rows: int
    contenders: tuple[Contender, ...]
    compare: Callable[[Sequence["Result"]], dict[str, float]]
    inputs: Callable[[int], object]
    handled: Callable[[int], int] = field(default=lambda rows: rows)
    surroundings: Callable[[int], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Result:
    """Medians of a contender's rounds.

    Attributes:
        bench: the bench.
        contender: its name.
        rows: rows handled.
        seconds: wall time.
        peak_mb: high-water mark of resident memory, with what the contender started.
        more: what else it says of itself.
    """

    bench: str
    contender: str
    rows: int
    seconds: float
    peak_mb: float
    more: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """The line of ``--json``."""
        return {
            "bench": self.bench,
            "contender": self.contender,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / self.seconds),
            "peak_mb": round(self.peak_mb),
            **{name: round(value, 3) for name, value in self.more.items()},
        }


def compete(bench: Bench, rows: int, rounds: int, only: Sequence[str]) -> list[Result]:
    """Runs the contenders in turn, round after round.

    Args:
        bench: the bench; its inputs are made already.
        rows: of the input.
        rounds: how often each contender runs.
        only: the contenders' names, or none for all.

    Raises:
        ContestError: a contender failed.
    """
    chosen = [c for c in bench.contenders if not only or c.name in only]
    measured: dict[str, list[Facts]] = {contender.name: [] for contender in chosen}
    for number in range(rounds):
        for contender in chosen:
            _say(f"{bench.name}: {contender.name}, round {number + 1} of {rounds}")
            measured[contender.name].append(_run(bench, contender, rows))
    return [_median(bench, name, rows, found) for name, found in measured.items()]


def contend(contender: Contender, rows: int) -> None:
    """The contender's process: prepares, does the work, and prints its measurements."""
    assert contender.prepare is not None
    work = contender.prepare(rows)
    start = time.perf_counter()
    more = work() or {}
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds} | more))


def _run(bench: Bench, contender: Contender, rows: int) -> Facts:
    contender.before(rows)
    since = datetime.now(UTC)
    if contender.command is not None:
        facts = watch(contender.command(rows))
    else:
        own = [sys.executable, "-m", "benchmarks", bench.name, "--rows", str(rows)]
        facts = watch([*own, "--contender", contender.name])
    return facts | contender.after(facts["seconds"], since)


def _median(bench: Bench, name: str, rows: int, rounds: Sequence[Facts]) -> Result:
    keys = [key for key in rounds[0] if all(key in found for found in rounds)]
    medians = {key: statistics.median(found[key] for found in rounds) for key in keys}
    return Result(
        bench=bench.name,
        contender=name,
        rows=int(medians.pop("rows", bench.handled(rows))),
        seconds=medians.pop("seconds"),
        peak_mb=medians.pop("peak_mb"),
        more=medians,
    )


def _say(text: str) -> None:
    if os.environ.get("TAXI_BENCH_QUIET") is None:
        print(text, file=sys.stderr, flush=True)
