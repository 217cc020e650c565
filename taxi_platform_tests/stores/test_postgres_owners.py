"""Only what this package has made is replaced; what others have made is kept, used, or refused."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres import loads
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

MARCH = TripMonth.from_key("green|2023-03")
APRIL = TripMonth.from_key("green|2023-04")
SCHEMA = "owner_test"
PARENT = f"{SCHEMA}.green_trips"
CHILD = f"{SCHEMA}.green_trips_2023_03"


@pytest.fixture
def connection(stack: EmbeddedStack) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(stack.postgres().conninfo, autocommit=True)) as connected:
        connected.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        yield connected


@pytest.fixture
def store(stack: EmbeddedStack, connection: psycopg.Connection) -> PostgresStore:
    return PostgresStore(stack.postgres(), SCHEMA)


def one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def children(connection: psycopg.Connection, parent: str) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        f"WHERE inhparent = '{parent}'::regclass ORDER BY 1"
    )
    return [name for (name,) in rows]


def test_the_months_of_a_table_that_was_renamed_are_kept(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    before = cleaned_month(landing, MARCH, 300)
    store.replace_month(before)
    connection.execute(f"ALTER TABLE {PARENT} RENAME TO green_trips_before")
    for rows in (400, 500):
        after = cleaned_month(landing, MARCH, rows)
        loaded = store.replace_month(after)
        assert loaded.details["child_table"] == f"{CHILD}_2"
        assert store.totals(MARCH) == after.totals
        assert one(connection, f"SELECT count(*) FROM {PARENT}_before") == before.rows
    # When the old table has been dropped, the name is free again.
    connection.execute(f"DROP TABLE {PARENT}_before")
    store.replace_month(after)
    assert children(connection, PARENT) == ["green_trips_2023_03"]
    assert store.totals(MARCH) == after.totals


@pytest.mark.parametrize("name", [CHILD, f"{CHILD}_incoming"])
@pytest.mark.parametrize("kind", ["TABLE {} AS SELECT 1", "VIEW {} AS SELECT 1"])
def test_somebody_elses_table_with_the_name_of_a_month_is_refused_and_kept(
    store: PostgresStore,
    connection: psycopg.Connection,
    landing: LandingZone,
    name: str,
    kind: str,
) -> None:
    store.replace_month(cleaned_month(landing, APRIL, 100))
    connection.execute(f"CREATE {kind.format(name)}".encode())
    with pytest.raises(PermanentStoreError, match=rf"green\|2023-03: .*{name}.* rename it"):
        store.replace_month(cleaned_month(landing, MARCH, 100))
    assert one(connection, f"SELECT count(*) FROM {name}") == 1
    assert children(connection, PARENT) == ["green_trips_2023_04"]


def test_a_partition_with_several_months_is_refused(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    store.replace_month(cleaned_month(landing, APRIL, 100))
    connection.execute(
        f"CREATE TABLE {SCHEMA}.spring PARTITION OF {PARENT} "
        "FOR VALUES IN ('2023-03-01', '2023-05-01')"
    )
    with pytest.raises(PermanentStoreError, match=r"partition owner_test\.spring is not one table"):
        store.replace_month(cleaned_month(landing, MARCH, 100))
    assert one(connection, f"SELECT '{SCHEMA}.spring'::regclass::text") == f"{SCHEMA}.spring"


def test_a_month_is_found_by_its_bound_whatever_its_table_is_called(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    store.replace_month(cleaned_month(landing, MARCH, 100))
    connection.execute(f"ALTER TABLE {CHILD} RENAME TO march")
    connection.execute("ALTER ROLE CURRENT_USER SET DateStyle = 'SQL, DMY'")
    try:
        trips = cleaned_month(landing, MARCH, 200)
        store.replace_month(trips)
    finally:
        connection.execute("ALTER ROLE CURRENT_USER RESET DateStyle")
    assert store.totals(MARCH) == trips.totals
    assert children(connection, PARENT) == ["green_trips_2023_03"]
    assert one(connection, f"SELECT to_regclass('{SCHEMA}.march')") is None


ADDED_TO_A_MONTH = {
    "trigger": (
        (
            "CREATE TRIGGER mine BEFORE UPDATE ON {} FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "trigger mine",
    ),
    "check": ("ALTER TABLE {} ADD CONSTRAINT mine CHECK (tip_amount > -1000)", "constraint mine"),
    "index": ("CREATE INDEX mine ON {} (tip_amount)", "index owner_test.mine"),
    "unique": ("ALTER TABLE {} ADD CONSTRAINT mine UNIQUE (tip_amount, total_amount)", "mine"),
    "view": ("CREATE VIEW {}_view AS SELECT tip_amount FROM {}", "view or rule of .*_view"),
    "policy": ("CREATE POLICY mine ON {}", "policy mine"),
    "row-level security": ("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", "row-level security"),
    "statistics": ("CREATE STATISTICS {}_s ON tip_amount, total_amount FROM {}", "statistics"),
}


@pytest.mark.parametrize("kind", ADDED_TO_A_MONTH)
def test_what_was_added_to_one_month_alone_is_refused_by_name_before_anything_is_copied(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone, kind: str
) -> None:
    store.replace_month(cleaned_month(landing, MARCH, 1))
    statement, said = ADDED_TO_A_MONTH[kind]
    connection.execute(statement.format(CHILD, CHILD).encode())
    copied: list[str] = []
    with pytest.raises(PermanentStoreError, match=f"{said}.*Add it to .*green_trips, which stays"):
        store.replace_month(cleaned_month(landing, MARCH, 500), copied.append)
    assert copied == []
    assert one(connection, f"SELECT count(*) FROM {PARENT}") == 1


ADDED_TO_THE_TABLE = {
    "generated column": (
        "ALTER TABLE {} ADD COLUMN double_tip float GENERATED ALWAYS AS (tip_amount * 2) STORED",
        "double_tip is generated",
    ),
    "trigger on INSERT": (
        (
            "CREATE TRIGGER mine AFTER INSERT ON {} FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "the trigger mine does not fire for loaded rows",
    ),
    "foreign key": (
        (
            "CREATE TABLE owner_test.flags (flag text PRIMARY KEY); "
            "ALTER TABLE {} ADD CONSTRAINT mine FOREIGN KEY (store_and_fwd_flag) "
            "REFERENCES owner_test.flags"
        ),
        "the foreign key mine would keep readers waiting",
    ),
}


@pytest.mark.parametrize("kind", ADDED_TO_THE_TABLE)
def test_what_an_exchange_would_break_is_refused_by_name(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone, kind: str
) -> None:
    store.replace_month(cleaned_month(landing, APRIL, 100))
    if kind == "foreign key":
        connection.execute(f"UPDATE {PARENT} SET store_and_fwd_flag = NULL")
    statement, said = ADDED_TO_THE_TABLE[kind]
    connection.execute(statement.format(PARENT).encode())
    with pytest.raises(PermanentStoreError, match=said):
        store.replace_month(cleaned_month(landing, MARCH, 100))
    assert children(connection, PARENT) == ["green_trips_2023_04"]


def test_a_check_of_the_table_holds_for_each_month_that_is_loaded(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    store.replace_month(trips)
    connection.execute(f'ALTER TABLE {PARENT} ADD CONSTRAINT "Sane" CHECK (trip_distance < 1e9)')
    store.replace_month(trips)
    assert store.totals(MARCH) == trips.totals
    connection.execute(f'ALTER TABLE {PARENT} DROP CONSTRAINT "Sane"')
    connection.execute(
        f'DELETE FROM {PARENT}; ALTER TABLE {PARENT} ADD CONSTRAINT "No" CHECK (false)'
    )
    with pytest.raises(PermanentStoreError, match='check constraint "No"'):
        store.replace_month(trips)


INDEXES = [
    "CREATE INDEX ON {} (tip_amount DESC NULLS LAST, total_amount)",
    'CREATE INDEX "Odd name USING" ON {} (lower(store_and_fwd_flag) text_pattern_ops)',
    "CREATE INDEX ON {} USING hash (pickup_location_id) WHERE tip_amount > 0",
    "CREATE INDEX ON {} (pickup_datetime) INCLUDE (tip_amount) WITH (fillfactor = 70)",
    "CREATE UNIQUE INDEX ON {} (data_file_month, passenger_count) WHERE passenger_count < -1",
    "ALTER TABLE {} ADD CONSTRAINT mine UNIQUE (data_file_month, ehail_fee)",
]


def test_indexes_of_the_table_are_built_before_the_exchange_and_not_while_readers_wait(
    store: PostgresStore,
    connection: psycopg.Connection,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    store.replace_month(trips)
    connection.execute(f"UPDATE {PARENT} SET ehail_fee = NULL")
    for index in INDEXES:
        connection.execute(index.format(PARENT).encode())
    built: list[set[int]] = []
    exchange: Callable[..., None] = loads._exchange

    def noting(writing: psycopg.Connection, *arguments: object) -> None:
        rows = writing.execute(
            "SELECT indexrelid::int8 FROM pg_index "
            f"WHERE indrelid = to_regclass('{CHILD}_incoming')"
        )
        built.append({oid for (oid,) in rows})
        exchange(writing, *arguments)

    monkeypatch.setattr(loads, "_exchange", noting)
    store.replace_month(trips)
    attached = connection.execute(
        f"SELECT indexrelid::int8 FROM pg_index WHERE indrelid = '{CHILD}'::regclass"
    ).fetchall()
    assert built == [{oid for (oid,) in attached}]
    assert len(attached) == len(INDEXES) + 1  # and ours
    assert store.totals(MARCH) == trips.totals


def test_an_index_that_is_added_during_the_copy_is_not_built_while_readers_wait(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    old = cleaned_month(landing, MARCH, 100)
    store.replace_month(old)

    def add(_progress: str) -> None:
        connection.execute(f"CREATE INDEX IF NOT EXISTS mine ON {PARENT} (tip_amount)")

    new = cleaned_month(landing, MARCH, 200)
    with pytest.raises(TransientStoreError, match="was changed by somebody else meanwhile"):
        store.replace_month(new, add)
    assert store.totals(MARCH) == old.totals
    store.replace_month(new)
    assert store.totals(MARCH) == new.totals


def test_a_column_with_another_collation_can_be_loaded(
    store: PostgresStore, connection: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 100)
    store.replace_month(trips)
    connection.execute(f'ALTER TABLE {PARENT} ADD COLUMN note text COLLATE "C"')
    store.replace_month(trips)
    assert store.totals(MARCH) == trips.totals
