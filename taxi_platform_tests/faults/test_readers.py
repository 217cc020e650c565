"""Readers in other processes while a month is replaced: every answer is of one whole version."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.loading import month_relations, replace_marts
from taxi_platform.stores.base import TableStore
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.store import BigQueryStore
from taxi_platform.stores.gcs.objects import GCSTrips, TripObject
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.stores.registry import STORES
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.reader import Reader, readers
from taxi_platform_tests.months import cleaned_month

pytestmark = [pytest.mark.integration, pytest.mark.faults]

REPLACEMENTS = 50
FEWEST_ANSWERS = 20
READY_SECONDS = 200
MARCH = TripMonth.from_key("green|2023-03")
APRIL = TripMonth.from_key("green|2023-04")
SCHEMA = "readers"

# Two sums: rows of two versions could agree in one by chance.
ROW = (
    "SELECT COUNT(*), CAST(SUM(ROUND(total_amount * 100)) AS {integer}), "
    "CAST(SUM(ROUND(tip_amount * 100)) AS {integer}) FROM " + SCHEMA + ".green_trips"
)
OF_THE_MONTH = ROW + " WHERE data_file_month = '2023-03-01'"

Row = tuple[int, int, int]


def row_of(*months: TripParquet) -> Row:
    """What a query over these months has to answer."""
    totals = [month.totals for month in months]
    return (
        sum(t.rows for t in totals),
        sum(t.cents["total_amount"] for t in totals),
        sum(t.cents["tip_amount"] for t in totals),
    )


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[TripParquet, TripParquet]:
    """Two versions of March."""
    folder = tmp_path_factory.mktemp("versions")
    one = cleaned_month(LandingZone(folder / "one"), MARCH, 3_000)
    other = cleaned_month(LandingZone(folder / "other"), MARCH, 4_000)
    return one, other


@pytest.fixture(scope="module")
def april(tmp_path_factory: pytest.TempPathFactory) -> TripParquet:
    """The neighbour, which is not replaced."""
    return cleaned_month(LandingZone(tmp_path_factory.mktemp("april")), APRIL, 1_000)


def replace_while_read(
    replace: Callable[[int], None], month_reader: Reader, table_reader: Reader
) -> None:
    """Replaces the month so often, and until both readers have seen both versions often enough."""
    deadline = time.monotonic() + READY_SECONDS
    both = (month_reader, table_reader)
    number = 0
    while number < REPLACEMENTS or not all(
        len(r.rows) >= FEWEST_ANSWERS and len(set(r.rows)) > 1 for r in both
    ):
        assert [error for reader in both for error in reader.errors] == []
        assert time.monotonic() < deadline, "the readers read too little to say anything"
        replace(number)
        number += 1
    assert [error for reader in both for error in reader.errors] == []


def test_readers_of_postgres_see_one_whole_version_and_never_wait_for_a_lock(
    stack: EmbeddedStack, versions: tuple[TripParquet, TripParquet], april: TripParquet
) -> None:
    tables = PostgresStore(stack.postgres(), SCHEMA)
    tables.replace_month(april)
    tables.replace_month(versions[0])
    queries = [query.format(integer="bigint") for query in (OF_THE_MONTH, ROW)]
    with readers("postgres", stack.postgres().conninfo, queries) as (of_the_month, of_all):
        replace_while_read(lambda n: _load(tables, versions[n % 2]), of_the_month, of_all)
    assert set(of_the_month.rows) == {row_of(version) for version in versions}
    assert set(of_all.rows) == {row_of(version, april) for version in versions}


def _load(tables: PostgresStore, trips: TripParquet) -> None:
    tables.replace_month(trips)


def test_readers_of_postgres_do_not_queue_behind_a_month_that_waits_for_a_long_query(
    stack: EmbeddedStack, versions: tuple[TripParquet, TripParquet]
) -> None:
    server = stack.postgres()
    tables = PostgresStore(server, SCHEMA)
    tables.replace_month(versions[0])
    query = OF_THE_MONTH.format(integer="bigint")
    writer = threading.Thread(target=tables.replace_month, args=[versions[1]])
    with (
        readers("postgres", server.conninfo, [query]) as (reader,),
        closing(psycopg.connect(server.conninfo)) as long_query,
    ):
        # The table is locked until the transaction ends.
        long_query.execute(f"SELECT 1 FROM {SCHEMA}.green_trips LIMIT 1")
        writer.start()
        try:
            # Long enough for a reader that does queue to have waited for more than its second.
            time.sleep(3)
            wait_for(lambda: len(reader.rows) >= FEWEST_ANSWERS or bool(reader.errors))
            assert reader.errors == []
            assert set(reader.rows) == {row_of(versions[0])}
            assert writer.is_alive()
        finally:
            long_query.rollback()
            writer.join()
        wait_for(lambda: row_of(versions[1]) in reader.rows or bool(reader.errors))
        assert reader.errors == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def in_gcs(
    stack: EmbeddedStack, versions: tuple[TripParquet, TripParquet], april: TripParquet
) -> Iterator[tuple[list[TripObject], TripObject]]:
    """The versions as two objects, so that only BigQuery changes under the readers."""
    with storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": stack.environment["STORAGE_EMULATOR_HOST"]},
    ) as client:
        buckets = []
        for name in ("readers-one", "readers-other"):
            client.lookup_bucket(name) or client.create_bucket(name)
            buckets.append(GCSTrips(client, name))
        yield (
            [gcs.upload(trips)[0] for gcs, trips in zip(buckets, versions, strict=True)],
            buckets[0].upload(april)[0],
        )


def test_readers_of_bigquery_see_one_whole_version(
    stack: EmbeddedStack,
    in_gcs: tuple[list[TripObject], TripObject],
    versions: tuple[TripParquet, TripParquet],
    april: TripParquet,
) -> None:
    address = stack.environment["BIGQUERY_EMULATOR_HOST"]
    objects, neighbour = in_gcs
    queries = [query.format(integer="INT64") for query in (OF_THE_MONTH, ROW)]
    with bigquery.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": address},
    ) as client:
        tables = BigQueryStore(client, BigQuerySettings(dataset=SCHEMA))
        tables.replace_month(neighbour)
        tables.replace_month(objects[0])
        with readers("bigquery", address, queries) as (of_the_month, of_all):
            replace_while_read(lambda n: _load_object(tables, objects[n % 2]), of_the_month, of_all)
    assert set(of_the_month.rows) == {row_of(version) for version in versions}
    assert set(of_all.rows) == {row_of(version, april) for version in versions}


MART_REPLACEMENTS = 10

OF_THE_MART = (
    "SELECT CAST(SUM(trips) AS BIGINT), CAST(SUM(total_cents) AS BIGINT), "
    f"CAST(SUM(tip_cents) AS BIGINT) FROM {SCHEMA}.green_zone_days "
    "WHERE data_file_month = DATE '2023-03-01'"
)


def replace_marts_while_read(
    store: TableStore, name: str, load: Callable[[int], None], reader: Reader
) -> None:
    """Replaces trips and marts so often, and until the reader has seen both versions."""
    dialect = STORES[name].dialect
    assert dialect is not None
    deadline = time.monotonic() + READY_SECONDS
    number = 0
    while number < MART_REPLACEMENTS or len(set(reader.rows)) < 2:
        assert time.monotonic() < deadline, "the reader read too little to say anything"
        load(number)
        given = month_relations(store, dialect, MARCH, None)
        replace_marts(store, MARCH, given, [MARTS["zone_days"], MARTS["payment_tips"]])
        number += 1
    assert reader.errors == []
    assert len(reader.rows) >= FEWEST_ANSWERS


def test_readers_of_a_mart_in_postgres_see_one_whole_version(
    stack: EmbeddedStack, versions: tuple[TripParquet, TripParquet]
) -> None:
    tables = PostgresStore(stack.postgres(), SCHEMA)
    _replace_marts_once(tables, "postgres", lambda: _load(tables, versions[1]))
    with readers("postgres", stack.postgres().conninfo, [OF_THE_MART]) as (reader,):
        replace_marts_while_read(
            tables, "postgres", lambda n: _load(tables, versions[n % 2]), reader
        )
    assert {tuple(map(int, row)) for row in reader.rows} == {row_of(v) for v in versions}


def test_readers_of_a_mart_in_bigquery_see_one_whole_version(
    stack: EmbeddedStack,
    in_gcs: tuple[list[TripObject], TripObject],
    versions: tuple[TripParquet, TripParquet],
) -> None:
    address = stack.environment["BIGQUERY_EMULATOR_HOST"]
    objects, _ = in_gcs
    with bigquery.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": address},
    ) as client:
        tables = BigQueryStore(client, BigQuerySettings(dataset=SCHEMA))
        _replace_marts_once(tables, "bigquery", lambda: _load_object(tables, objects[1]))
        with readers("bigquery", address, [OF_THE_MART]) as (reader,):
            replace_marts_while_read(
                tables, "bigquery", lambda n: _load_object(tables, objects[n % 2]), reader
            )
    assert set(reader.rows) == {row_of(version) for version in versions}


def _replace_marts_once(store: TableStore, name: str, load: Callable[[], None]) -> None:
    dialect = STORES[name].dialect
    assert dialect is not None
    load()
    given = month_relations(store, dialect, MARCH, None)
    replace_marts(store, MARCH, given, [MARTS["zone_days"], MARTS["payment_tips"]])


def _load_object(tables: BigQueryStore, trips: TripObject) -> None:
    tables.replace_month(trips)
