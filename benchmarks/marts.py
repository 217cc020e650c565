"""The marts of a month in both stores, beside the load of its trips; and the report of 24 months.

The trips are loaded from the cleaned file and its object, with nothing of Dagster. The marts are
all seven, in BigQuery's emulator and in Postgres, without their checks. The report is read from
Postgres, whose months are copies of one month's marts.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from benchmarks.contest import Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import YELLOW, cleaned_month
from benchmarks.servers import running_stack
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    import pyarrow as pa

TRIPS, MARTS, REPORT = "trips_of_both_stores", "marts_of_both_stores", "report_of_24_months"
MONTHS = int(os.environ.get("TAXI_BENCH_MONTHS", "24"))


def _inputs(rows: int) -> None:
    cleaned_month(rows)


@contextmanager
def _surroundings(rows: int) -> Iterator[None]:
    with running_stack():
        _trips(rows)()  # the marts are made of them
        yield


def _trips(rows: int) -> Work:
    from taxi_platform.stores.gcs.client import trip_objects

    chosen = load_settings()
    trips = cleaned_month(rows)
    objects = trip_objects(chosen.gcs)
    objects.upload(trips)
    found = objects.find(YELLOW)

    def work() -> None:
        for name, source in (("bigquery", found), ("postgres", trips)):
            with chosen.open_store(name) as store:
                assert store.replace_month(source, lambda _: None).rows == trips.rows

    return work


def _marts(_rows: int) -> Work:
    from taxi_platform.marts.definitions import MARTS as ALL
    from taxi_platform.marts.loading import month_relations, replace_marts
    from taxi_platform.stores.registry import STORES

    chosen = load_settings()

    def work() -> None:
        for name in ("bigquery", "postgres"):
            dialect = STORES[name].dialect
            assert dialect is not None
            with chosen.open_store(name) as store:
                given = month_relations(store, dialect, YELLOW, None)
                assert len(replace_marts(store, YELLOW, given, list(ALL.values()))) == len(ALL)

    return work


def _report(rows: int) -> Work:
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.marts.definitions import MARTS as ALL
    from taxi_platform.report.writing import make_report

    _marts(rows)()
    chosen = load_settings()
    with chosen.open_store("postgres") as store:
        for mart in ALL.values():
            names = [column.name for column in mart.columns]
            month = store.stream_rows(mart.table(YELLOW.color), YELLOW.month, names).read_all()
            for when in _months():
                store.replace_rows(mart.table(YELLOW.color), when, _of(month, when).to_reader())

    def work() -> None:
        with chosen.open_store("postgres") as store:
            made = make_report(store, "Postgres", [YELLOW.color], LandingZone(chosen.data_dir))
        assert len(made.figures.loaded) >= MONTHS

    return work


def _months() -> list[date]:
    month, found = YELLOW, []
    for _ in range(MONTHS):
        found.append(month.month)
        month = TripMonth(YELLOW.color, month.following)
    return found


def _of(rows: "pa.Table", month: date) -> "pa.Table":
    """The same rows, of another month."""
    import pyarrow as pa

    return rows.append_column("data_file_month", pa.array([month] * rows.num_rows, pa.date32()))


BENCH = Bench(
    name="marts",
    rows=3_000_000,
    contenders=(
        Contender(TRIPS, prepare=_trips),
        Contender(MARTS, prepare=_marts),
        Contender(REPORT, prepare=_report),
    ),
    compare=seconds_by_theirs(MARTS, TRIPS),
    inputs=_inputs,
    surroundings=_surroundings,
)
