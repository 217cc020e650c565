"""Our peak memory against the rows of the month: cleaned, and copied into Postgres."""

from collections.abc import Sequence
from functools import partial

from benchmarks.contest import OURS, Bench, Contender, Result, Work
from benchmarks.inputs import KEPT, YELLOW, yellow_month
from benchmarks.postgres import SCHEMA
from benchmarks.servers import postgres_server, running_stack

TIMES = (1, 4, 16)
"""Half a million, two million and eight million rows, by default."""


def _clean_and_copy(times: int, rows: int) -> Work:
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.stores.postgres.store import PostgresStore
    from taxi_platform.trips.cleaning import clean_trips

    source = yellow_month(rows * times)
    landing = LandingZone(KEPT / "memory")
    tables = PostgresStore(postgres_server(), SCHEMA)

    def work() -> dict[str, float]:
        trips = landing.write_cleaned(clean_trips(source, YELLOW))
        tables.replace_month(trips)
        return {"rows": rows * times}

    return work


def _inputs(rows: int) -> None:
    for times in TIMES:
        yellow_month(rows * times)


def name_of(times: int) -> str:
    """The contender with so many times the rows."""
    return OURS if times == 1 else f"{OURS}_x{times}"


def peak_ratios(results: Sequence[Result]) -> dict[str, float]:
    """Peak of the larger months by the peak of the smallest."""
    peaks = {result.contender: result.peak_mb for result in results}
    return {
        f"peak_x{times}": round(peaks[name_of(times)] / peaks[OURS], 3)
        for times in TIMES[1:]
        if OURS in peaks and name_of(times) in peaks
    }


BENCH = Bench(
    name="memory",
    rows=500_000,
    contenders=tuple(Contender(name_of(times), partial(_clean_and_copy, times)) for times in TIMES),
    compare=peak_ratios,
    inputs=_inputs,
    surroundings=lambda _rows: running_stack(),
)
