"""What administrators set for the platform's user: `doctor` and a load say the same of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("green|2023-03")
PASSWORD = "of a loader"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path_factory.mktemp("cluster")) as own:
        yield own


@pytest.fixture
def administrator(postgres: OwnPostgres) -> Iterator[psycopg.Connection]:
    """With a user `loader` that may do nothing yet."""
    with postgres.administrator() as connection:
        connection.execute("REVOKE CREATE ON DATABASE taxi FROM PUBLIC")
        connection.execute(f"CREATE ROLE loader LOGIN PASSWORD '{PASSWORD}'")
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS loaded CASCADE")
        connection.execute("DROP OWNED BY loader CASCADE; DROP ROLE loader")


@pytest.fixture
def store(postgres: OwnPostgres, administrator: psycopg.Connection) -> PostgresStore:
    server = replace(postgres.at(postgres.port), user="loader", password=PASSWORD)
    return PostgresStore(server, "loaded")


def follow(administrator: psycopg.Connection, refused: PermanentStoreError) -> str:
    """Executes the statement that the message gives."""
    _, _, statement = str(refused).partition("(")
    statement = statement.partition(")")[0]
    administrator.execute(statement.encode())
    return statement


def test_a_first_load_needs_a_schema_or_the_right_to_create_it(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: .*permission denied"):
        store.replace_month(trips)
    with pytest.raises(PermanentStoreError, match="no schema loaded") as refused:
        store.check_access()
    assert follow(administrator, refused.value) == 'GRANT CREATE ON DATABASE "taxi" TO "loader"'
    store.check_access()
    store.replace_month(trips)
    assert store.totals(MONTH) == trips.totals


def test_a_schema_that_an_administrator_made_is_enough(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    administrator.execute("CREATE SCHEMA loaded")
    for right in ("USAGE", "CREATE"):
        with pytest.raises(PermanentStoreError, match=f"no {right} on the schema") as refused:
            store.check_access()
        with pytest.raises(PermanentStoreError):
            store.replace_month(trips)
        follow(administrator, refused.value)
    store.check_access()
    store.replace_month(trips)
    assert store.totals(MONTH) == trips.totals


def test_without_temporary_tables_there_are_no_marts(
    store: PostgresStore, administrator: psycopg.Connection
) -> None:
    administrator.execute("CREATE SCHEMA loaded AUTHORIZATION loader")
    administrator.execute("REVOKE TEMPORARY ON DATABASE taxi FROM PUBLIC")
    with pytest.raises(PermanentStoreError, match="marts need temporary tables") as refused:
        store.check_access()
    assert follow(administrator, refused.value) == 'GRANT TEMPORARY ON DATABASE "taxi" TO "loader"'
    store.check_access()
    administrator.execute("GRANT TEMPORARY ON DATABASE taxi TO PUBLIC")


def test_a_table_of_another_user_is_named(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    administrator.execute("CREATE SCHEMA loaded AUTHORIZATION loader")
    store.replace_month(trips)
    for table in ("green_trips", "green_trips_2023_03"):
        administrator.execute(f"ALTER TABLE loaded.{table} OWNER TO postgres".encode())
        with pytest.raises(PermanentStoreError, match=r"permission denied|must be owner"):
            store.replace_month(trips)
        with pytest.raises(
            PermanentStoreError, match=rf"own the table loaded\.{table} "
        ) as refused:
            store.check_access()
        follow(administrator, refused.value)
        store.check_access()
        store.replace_month(trips)


@contextmanager
def setting(administrator: psycopg.Connection, text: str) -> Iterator[None]:
    administrator.execute(f"ALTER ROLE loader SET {text}".encode())
    yield
    administrator.execute("ALTER ROLE loader RESET ALL")


@pytest.fixture
def loaded(store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone) -> None:
    administrator.execute("CREATE SCHEMA loaded AUTHORIZATION loader")
    store.replace_month(cleaned_month(landing, MONTH, 100))


@pytest.mark.usefixtures("loaded")
def test_a_server_that_is_read_only_is_worth_another_try(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    with setting(administrator, "default_transaction_read_only = on"):
        with pytest.raises(TransientStoreError, match=r"the server is read-only .*failover"):
            store.replace_month(cleaned_month(landing, MONTH, 200))
        with pytest.raises(PermanentStoreError, match="the server is read-only"):
            store.check_access()


@pytest.mark.usefixtures("loaded")
def test_names_in_quotes_change_nothing(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 200)
    with setting(administrator, "quote_all_identifiers = on"):
        store.check_access()
        store.replace_month(trips)
        assert store.totals(MONTH) == trips.totals


@pytest.mark.usefixtures("loaded")
def test_a_statement_timeout_that_is_too_short_is_named_and_not_retried(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    before = store.totals(MONTH)
    with (
        setting(administrator, "statement_timeout = '1s'"),
        pytest.raises(PermanentStoreError, match=r"statement_timeout is too short.*ALTER ROLE"),
    ):
        store.replace_month(cleaned_month(landing, MONTH, 30_000), lambda _: time.sleep(1))
    assert store.totals(MONTH) == before


@pytest.mark.usefixtures("loaded")
def test_a_statement_that_an_administrator_cancels_is_worth_another_try(
    store: PostgresStore, administrator: psycopg.Connection, landing: LandingZone
) -> None:
    def cancel(_progress: str) -> None:
        administrator.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'loader'"
        )

    with pytest.raises(TransientStoreError, match="somebody canceled the statement"):
        store.replace_month(cleaned_month(landing, MONTH, 30_000), cancel)
