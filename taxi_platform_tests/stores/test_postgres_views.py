"""Views of the platform's tables, which other people's views, rights and comments rest on."""

from collections.abc import Iterator

import psycopg
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.base import View
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

SCHEMA = "viewed"


@pytest.fixture
def connection(stack: EmbeddedStack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for color in ("green", "yellow"):
            connection.execute(f"CREATE TABLE {SCHEMA}.{color} (fare int, ehail int)")
            connection.execute(f"INSERT INTO {SCHEMA}.{color} VALUES (1, 2)")
        yield connection
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def store(stack: EmbeddedStack, connection: psycopg.Connection) -> PostgresStore:
    return PostgresStore(stack.postgres(), SCHEMA)


def view(*colors: str, columns: str = "fare, ehail") -> View:
    sql = " UNION ALL ".join(f"SELECT {columns} FROM {SCHEMA}.{color}" for color in colors)
    return View("trips", sql, list(colors), columns.split(", "), "Trips.")


def counted(connection: psycopg.Connection, name: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {SCHEMA}.{name}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def granted(connection: psycopg.Connection) -> set[tuple[str, str, bool]]:
    rows = connection.execute(
        "SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_class, "
        f"aclexplode(relacl) WHERE oid = '{SCHEMA}.trips'::regclass AND grantee <> relowner"
    )
    return set(rows.fetchall())


def test_another_color_leaves_what_depends_on_the_view(
    store: PostgresStore, connection: psycopg.Connection
) -> None:
    store.ensure_view(view("green"))
    connection.execute(f"CREATE VIEW {SCHEMA}.theirs AS SELECT sum(fare) FROM {SCHEMA}.trips")
    connection.execute(f"GRANT SELECT ON {SCHEMA}.trips TO PUBLIC")
    store.ensure_view(view("green", "yellow"))
    assert counted(connection, "trips") == 2
    assert counted(connection, "theirs") == 1
    assert granted(connection) == {("-", "SELECT", False)}


def test_a_column_that_goes_takes_no_rights_along(
    store: PostgresStore, connection: psycopg.Connection
) -> None:
    store.ensure_view(view("green"))
    connection.execute(f"GRANT SELECT ON {SCHEMA}.trips TO PUBLIC")
    connection.execute(f"GRANT SELECT ON {SCHEMA}.trips TO pg_monitor WITH GRANT OPTION")
    before = granted(connection)
    store.ensure_view(view("green", "yellow", columns="fare"))
    assert counted(connection, "trips") == 2
    assert granted(connection) == before
    assert len(before) == 2


def test_a_column_that_another_view_needs_is_not_taken(
    store: PostgresStore, connection: psycopg.Connection
) -> None:
    store.ensure_view(view("green"))
    connection.execute(f"CREATE VIEW {SCHEMA}.theirs AS SELECT ehail FROM {SCHEMA}.trips")
    with pytest.raises(PermanentStoreError, match=r"view viewed\.theirs depends on view"):
        store.ensure_view(view("green", columns="fare"))
    assert counted(connection, "theirs") == 1


def test_a_comment_that_was_changed_can_be_restored(
    store: PostgresStore, connection: psycopg.Connection
) -> None:
    store.ensure_view(view("green"))
    connection.execute(f"COMMENT ON VIEW {SCHEMA}.trips IS 'mine'")
    with pytest.raises(PermanentStoreError, match="is not the platform's view") as refused:
        store.ensure_view(view("green", "yellow"))
    statement = str(refused.value).partition("was changed: ")[2].rstrip(")")
    assert statement.startswith("COMMENT ON VIEW")
    connection.execute(statement.encode())
    store.ensure_view(view("green", "yellow"))
    assert counted(connection, "trips") == 2
