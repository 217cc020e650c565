"""Loads and queries on the oldest PostgreSQL that distributions still carry."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pyarrow as pa
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.months import cleaned_month
from taxi_platform_tests.stores.debian_postgres import debian_postgres

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("green|2023-03")


@pytest.fixture(scope="module")
def store() -> Iterator[PostgresStore]:
    with debian_postgres(15) as cluster:
        yield PostgresStore(cluster.server)


def test_a_month_is_loaded_replaced_and_read_on_postgresql_15(
    store: PostgresStore, landing: LandingZone
) -> None:
    store.check_access()
    for rows in (300, 200):
        trips = cleaned_month(landing, MONTH, rows)
        store.replace_month(trips)
        assert store.totals(MONTH) == trips.totals
        with closing(psycopg.connect(store.server.conninfo, autocommit=True)) as connection:
            connection.execute("CREATE INDEX IF NOT EXISTS mine ON trips.green_trips (tip_amount)")
            connection.execute("ALTER TABLE trips.green_trips ADD CHECK (trip_distance < 1e9)")
    assert store.stream_month(MONTH).read_all().num_rows == trips.rows
    assert first_rows(store, "SELECT 1 AS one;", 1).rows == [(1,)]
    with pytest.raises(PermanentStoreError):
        first_rows(store, "SELECT set_config('transaction_read_only', 'off', true)", 1)
    store.replace_rows("derived", None, pa.table({"value": ["a"]}).to_reader())
    assert store.leftovers() == []


def test_what_was_added_to_one_month_is_refused_on_postgresql_15(
    store: PostgresStore, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    child = store.replace_month(trips).details["child_table"]
    with closing(psycopg.connect(store.server.conninfo, autocommit=True)) as connection:
        connection.execute(f"CREATE VIEW march AS SELECT FROM {child}".encode())
        with pytest.raises(PermanentStoreError, match="view or rule of march"):
            store.replace_month(trips)
