"""Behind PgBouncer in transaction mode, where sessions are shared, loads are as safe as without."""

import threading
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
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import cleaned_month
from taxi_platform_tests.stores.pgbouncer import pooled

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("green|2023-03")
SCHEMA = "pooled_test"


@pytest.fixture(scope="module")
def store(stack: EmbeddedStack) -> Iterator[PostgresStore]:
    with pooled(stack.postgres()) as server:
        yield PostgresStore(server, SCHEMA)


@pytest.fixture(autouse=True)
def _no_tables(stack: EmbeddedStack, store: PostgresStore) -> None:
    with closing(psycopg.connect(stack.postgres().conninfo, autocommit=True)) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def test_a_session_is_shared_and_does_not_last(store: PostgresStore) -> None:
    # Otherwise the tests below would prove nothing.
    with store.server.connect() as connection:
        others = [psycopg.connect(store.server.conninfo) for _ in range(2)]
        sessions = set()
        for other in others:
            other.execute("SELECT 1")
            sessions.add(connection.execute("SELECT pg_backend_pid()").fetchone())
            other.rollback()
        for other in others:
            other.close()
        for _ in range(6):
            sessions.add(connection.execute("SELECT pg_backend_pid()").fetchone())
    assert len(sessions) > 1


def test_writers_of_a_month_take_turns_and_each_load_is_whole(
    store: PostgresStore, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 20_000)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            store.replace_month(trips)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    # The first time neither schema nor table are there.
    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert store.totals(MONTH) == trips.totals
    assert store.leftovers() == []


def test_everything_else_works_too(store: PostgresStore, landing: LandingZone) -> None:
    store.check_access()
    trips = cleaned_month(landing, MONTH, 1_000)
    for _ in range(12):  # more than statements are executed before they would be prepared
        store.replace_month(trips)
    assert store.stream_month(MONTH).read_all().num_rows == trips.rows
    rows = pa.table({"value": pa.array(["a", None])})
    store.replace_rows("derived", None, rows.to_reader())
    assert store.stream_rows("derived", None).read_all().equals(rows)
    answer = first_rows(store, f"SELECT * FROM {SCHEMA}.green_trips", 3)
    assert (len(answer.rows), answer.more) == (3, True)


def test_statement_mode_is_refused_and_not_retried(stack: EmbeddedStack) -> None:
    with pooled(stack.postgres(), "statement") as server:
        refused = PostgresStore(server, SCHEMA)
        with pytest.raises(PermanentStoreError, match="set PgBouncer's pool_mode to session or tr"):
            refused.check_access()
