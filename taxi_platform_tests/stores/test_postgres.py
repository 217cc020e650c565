import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pyarrow.parquet as pq
import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres import changes
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

MARCH = TripMonth.from_key("green|2023-03")
APRIL = TripMonth.from_key("green|2023-04")
SCHEMA = "store_test"


@pytest.fixture
def server(stack: EmbeddedStack) -> PostgresServer:
    return stack.postgres()


@pytest.fixture
def tables(server: PostgresServer) -> PostgresStore:
    return PostgresStore(server, SCHEMA)


@pytest.fixture
def connection(server: PostgresServer) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(server.conninfo, autocommit=True)) as connected:
        connected.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        yield connected


def holding(connection: psycopg.Connection, month: TripMonth) -> tuple[int, int]:
    """Rows, and the sum of ``total_amount`` in cents."""
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(total_amount), 0) FROM {SCHEMA}.green_trips "
        "WHERE data_file_month = %s",
        [month.month],
    ).fetchone()
    assert row is not None
    return row[0], round(row[1] * 100)


def tables_in(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY 1",
        [SCHEMA],
    )
    return [row[0] for row in rows]


def test_a_month_is_replaced_and_its_neighbour_is_not_touched(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    april = cleaned_month(landing, APRIL, 500)
    tables.replace_month(april)
    for rows in (2_000, 1_000, 1_000):
        trips = cleaned_month(landing, MARCH, rows)
        assert tables.replace_month(trips).rows == trips.rows
        assert holding(connection, MARCH) == (trips.rows, trips.total_cents)
    assert holding(connection, APRIL) == (april.rows, april.total_cents)
    assert tables_in(connection) == ["green_trips", "green_trips_2023_03", "green_trips_2023_04"]


def test_rows_come_back_as_they_were_cleaned(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 3_000)
    tables.replace_month(trips)
    written = pq.read_table(trips.path)
    order = [(name, "ascending") for name in written.schema.names]
    assert tables.stream_month(MARCH).read_all().sort_by(order).equals(written.sort_by(order))
    assert tables.stream_month(MARCH, ["tip_amount"]).read_all().schema.names == ["tip_amount"]
    with pytest.raises(ValueError, match="no column nonsense"):
        tables.stream_month(MARCH, ["nonsense"])


def test_the_totals_are_those_of_the_file(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 3_000)
    tables.replace_month(trips)
    assert tables.totals(MARCH) == trips.totals
    assert trips.totals.cents["tip_amount"] > 0
    connection.execute(
        f"UPDATE {SCHEMA}.green_trips SET tip_amount = tip_amount + 0.01 WHERE ctid IN "
        f"(SELECT ctid FROM {SCHEMA}.green_trips LIMIT 1)"
    )
    (difference,) = tables.totals(MARCH).differences(trips.totals)
    assert "tip_amount adds up to" in difference


def test_a_table_gains_the_columns_that_it_lacks_without_a_reload(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    april = cleaned_month(landing, APRIL, 500)
    tables.replace_month(april)
    connection.execute(
        f"ALTER TABLE {SCHEMA}.green_trips DROP COLUMN cbd_congestion_fee, DROP COLUMN tip_amount, "
        "ADD COLUMN note text"
    )
    loaded = connection.execute(
        f"SELECT '{SCHEMA}.green_trips_2023_04'::regclass::oid::int"
    ).fetchone()
    march = cleaned_month(landing, MARCH, 700)
    tables.replace_month(march)
    assert holding(connection, APRIL) == (april.rows, april.total_cents)
    assert tables.totals(MARCH) == march.totals
    assert tables.stream_month(APRIL, ["tip_amount"]).read_all()["tip_amount"].null_count == (
        april.rows
    )
    row = connection.execute(
        "SELECT %s::regclass::oid::int, col_description(%s::regclass, attnum) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attname = 'tip_amount'",
        [f"{SCHEMA}.green_trips_2023_04", f"{SCHEMA}.green_trips", f"{SCHEMA}.green_trips"],
    ).fetchone()
    assert row is not None
    assert loaded is not None
    assert row[0] == loaded[0], "the earlier month was loaded again"
    assert "tip" in row[1].lower()


INCOMPATIBLE = {
    "another type": (
        "ALTER TABLE {}.green_trips ALTER COLUMN tip_amount TYPE text",
        "tip_amount is text and not double precision",
    ),
    "a required column of somebody else": (
        "ALTER TABLE {}.green_trips ADD COLUMN note text NOT NULL DEFAULT ''",
        "note is NOT NULL",
    ),
    "no partitions": (
        "DROP TABLE {0}.green_trips; CREATE TABLE {0}.green_trips (data_file_month date)",
        "it is not partitioned by list on data_file_month",
    ),
}


@pytest.mark.parametrize("kind", INCOMPATIBLE)
def test_a_table_that_does_not_fit_is_refused_with_the_way_to_migrate(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone, kind: str
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    tables.replace_month(trips)
    statement, said = INCOMPATIBLE[kind]
    connection.execute(statement.format(SCHEMA).encode())
    with pytest.raises(PermanentStoreError, match=said) as refused:
        tables.replace_month(trips)
    assert str(refused.value).startswith("green|2023-03: Postgres at ")
    assert "docs/guarantees.md" in str(refused.value)


def test_the_child_table_is_indexed_and_holds_only_its_month(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    tables.replace_month(cleaned_month(landing, MARCH, 100))
    row = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s",
        [SCHEMA, "green_trips_2023_03"],
    ).fetchall()
    assert len(row) == 1
    assert "USING brin (pickup_datetime)" in row[0][0]
    plan = connection.execute(
        f"EXPLAIN SELECT * FROM {SCHEMA}.green_trips WHERE data_file_month = '2023-03-01'"
    ).fetchall()
    assert "green_trips_2023_03" in str(plan)


def test_what_a_killed_run_of_an_earlier_version_left_is_replaced(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    tables.replace_month(trips)
    connection.execute(
        f"CREATE TABLE {SCHEMA}.green_trips_2023_03_incoming (data_file_month date, "
        "CONSTRAINT file_month CHECK (data_file_month = '2023-03-01'))"
    )
    tables.replace_month(trips)
    assert tables_in(connection) == ["green_trips", "green_trips_2023_03"]


def test_fewer_rows_than_the_file_claims_leave_the_month_as_it_was(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    tables.replace_month(trips)
    before = holding(connection, MARCH)
    with pytest.raises(TransientStoreError, match=r"green\|2023-03: Postgres.*is unchanged"):
        tables.replace_month(replace(cleaned_month(landing, MARCH, 500), rows=1))
    assert holding(connection, MARCH) == before


def test_a_long_query_delays_the_exchange_and_readers_never_queue_behind_it(
    tables: PostgresStore,
    connection: psycopg.Connection,
    server: PostgresServer,
    landing: LandingZone,
) -> None:
    tables.replace_month(cleaned_month(landing, MARCH, 100))
    trips = cleaned_month(landing, MARCH, 200)
    with closing(psycopg.connect(server.conninfo)) as reader:
        reader.execute(f"SELECT 1 FROM {SCHEMA}.green_trips LIMIT 1")  # holds its lock
        writer = threading.Thread(target=tables.replace_month, args=[trips])
        writer.start()
        connection.execute("SET statement_timeout = '1s'")
        before = holding(connection, MARCH)
        for _ in range(20):
            assert holding(connection, MARCH) == before
            writer.join(0.05)
        assert writer.is_alive()
        reader.rollback()
    writer.join()
    assert holding(connection, MARCH) == (trips.rows, trips.total_cents)


def test_an_exchange_that_never_gets_its_lock_fails_and_leaves_the_month(
    tables: PostgresStore,
    connection: psycopg.Connection,
    server: PostgresServer,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 0.5)
    tables.replace_month(cleaned_month(landing, MARCH, 100))
    before = holding(connection, MARCH)
    with closing(psycopg.connect(server.conninfo)) as reader:
        reader.execute(f"SELECT 1 FROM {SCHEMA}.green_trips LIMIT 1")
        with pytest.raises(TransientStoreError, match=r"green\|2023-03: .*locked by long queries"):
            tables.replace_month(cleaned_month(landing, MARCH, 200))
    assert holding(connection, MARCH) == before


def test_two_writers_of_a_month_take_turns(
    tables: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 5_000)
    failures: list[Exception] = []

    def write() -> None:
        try:
            tables.replace_month(trips)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert holding(connection, MARCH) == (trips.rows, trips.total_cents)


def test_a_long_copy_of_one_month_does_not_hold_up_another(
    tables: PostgresStore,
    connection: psycopg.Connection,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 5)
    march, april = cleaned_month(landing, MARCH, 20_000), cleaned_month(landing, APRIL, 500)
    tables.replace_month(cleaned_month(landing, TripMonth.from_key("green|2023-05"), 100))
    copying, other_is_there = threading.Event(), threading.Event()

    def hold(_progress: str) -> None:
        copying.set()
        assert other_is_there.wait(60)

    writer = threading.Thread(target=tables.replace_month, args=[march, hold])
    writer.start()
    try:
        assert copying.wait(60)
        tables.replace_month(april)
        assert holding(connection, APRIL) == (april.rows, april.total_cents)
    finally:
        other_is_there.set()
        writer.join()
    assert holding(connection, MARCH) == (march.rows, march.total_cents)


def test_a_wrong_password_fails_for_good_and_is_never_shown(
    server: PostgresServer, landing: LandingZone
) -> None:
    wrong = replace(server, password="hunter2-secret")
    with pytest.raises(PermanentStoreError) as failure:
        PostgresStore(wrong, SCHEMA).replace_month(cleaned_month(landing, MARCH, 100))
    said = str(failure.value)
    assert said.startswith(f"green|2023-03: Postgres at {server.address}")
    assert "TAXI_POSTGRES_PASSWORD" in said
    assert "hunter2-secret" not in said + repr(wrong)


def test_an_unknown_database_fails_for_good(server: PostgresServer, landing: LandingZone) -> None:
    with pytest.raises(PermanentStoreError, match="check TAXI_POSTGRES_DATABASE"):
        PostgresStore(replace(server, database="nowhere"), SCHEMA).replace_month(
            cleaned_month(landing, MARCH, 100)
        )


def test_a_server_that_is_down_is_worth_another_try(
    server: PostgresServer, landing: LandingZone
) -> None:
    with pytest.raises(
        TransientStoreError, match=r"green\|2023-03: Postgres at 127\.0\.0\.1:9/taxi.*local up"
    ):
        PostgresStore(replace(server, port=9), SCHEMA).replace_month(
            cleaned_month(landing, MARCH, 100)
        )
