"""The five assets on a month of one trip: what Dagster and the start of a process cost.

The month comes from a folder, so that no web server is measured along.
"""

from collections.abc import Sequence

from benchmarks.contest import Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import WARM_UP, YELLOW, folder_of, one_trip
from benchmarks.runs import materialize_command, publish_from, warm_worker
from benchmarks.servers import forget_months, running_stack


def _inputs(_rows: int) -> None:
    one_trip(YELLOW)
    one_trip(WARM_UP)


def _before(_rows: int) -> None:
    forget_months()
    publish_from(f"file://{folder_of(1)}")


def _cold(_rows: int) -> Sequence[str]:
    return materialize_command(YELLOW)


def _default(_rows: int) -> Sequence[str]:
    return materialize_command(YELLOW, "benchmarks.default_executor")


def _warm(_rows: int) -> Work:
    run = warm_worker(WARM_UP)
    return lambda: run(YELLOW)


BENCH = Bench(
    name="orchestration",
    rows=1,
    contenders=(
        Contender("cold", command=_cold, before=_before),
        Contender("warm", _warm, before=_before),
        Contender("dagster_default", command=_default, before=_before),
    ),
    compare=seconds_by_theirs("cold", "dagster_default"),
    inputs=_inputs,
    handled=lambda _rows: 1,
    surroundings=lambda _rows: running_stack(),
)
