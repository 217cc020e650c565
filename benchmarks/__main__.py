"""Runs a benchmark: ``python -m benchmarks NAME [--rows N] [--json]``.

Each contender runs in a process of its own, in turn with the others, three rounds or more, on the
same input; medians count. Machines are shared and noisy: read the ratios, not the seconds.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import (
    backfill,
    clean,
    clean_parquet,
    history,
    marts,
    memory,
    orchestration,
    partition,
    postgres,
    report,
)
from benchmarks.contest import Bench, Result, compete, contend
from benchmarks.processes import ContestError

BENCHES = {
    bench.name: bench
    for bench in (
        clean_parquet.BENCH,
        clean.BENCH,
        memory.BENCH,
        postgres.BENCH,
        partition.PARQUET,
        partition.CSV,
        orchestration.BENCH,
        marts.BENCH,
        backfill.BENCH,
        history.BENCH,
    )
}
ALL = "all"


def main() -> None:
    """Parses the command line; with ``--contender``, is one contender's process."""
    chosen = _arguments()
    if chosen.contender:
        bench = BENCHES[chosen.name]
        contend(next(c for c in bench.contenders if c.name == chosen.contender), chosen.rows)
        return
    _forget_users_settings()
    # As Ctrl-C: servers that were started are stopped on the way out.
    signal.signal(signal.SIGTERM, _stop)
    names = list(BENCHES) if chosen.name == ALL else [chosen.name]
    try:
        measured = [(BENCHES[name], _run(BENCHES[name], chosen)) for name in names]
        if chosen.write:
            report.write_section(chosen.write, measured)
    except ContestError as error:
        sys.exit(f"benchmarks: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHES, ALL])
    parser.add_argument("--rows", type=int, help="of the input; each bench has its own default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], help="a contender; may be repeated")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--write", type=Path, help="put the tables into this Markdown file too")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(bench: Bench, chosen: argparse.Namespace) -> list[Result]:
    rows = chosen.rows or bench.rows
    bench.inputs(rows)
    with bench.surroundings(rows):
        results = compete(bench, rows, chosen.rounds, chosen.only)
    (report.print_json if chosen.json else report.print_table)(bench, results)
    return results


def _forget_users_settings() -> None:
    """What is measured must not depend on the user's own stack, source and interpreter.

    Least of all on whether Python may keep its bytecode: without, every start compiles everything.
    """
    for name in list(os.environ):
        own = name.startswith(("DAGSTER_", "TAXI_", "PYTHON"))
        if own and not name.startswith("TAXI_BENCH_"):
            del os.environ[name]


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
