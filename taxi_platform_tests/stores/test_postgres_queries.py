"""`taxi-platform query` reads, whatever the statement says, and no more than it shows."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from taxi_platform.errors import PermanentStoreError, StoreError
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

SCHEMA = "query_test"

OBJECTS = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.kept AS SELECT 1 AS number;
CREATE SEQUENCE {SCHEMA}.numbers;
CREATE FUNCTION {SCHEMA}.erase() RETURNS int LANGUAGE plpgsql AS
  'BEGIN DELETE FROM {SCHEMA}.kept; RETURN 1; END';
CREATE FUNCTION {SCHEMA}.unlock() RETURNS int LANGUAGE plpgsql AS
  'BEGIN SET TRANSACTION READ WRITE; DELETE FROM {SCHEMA}.kept; RETURN 1; END';
CREATE PROCEDURE {SCHEMA}.commit() LANGUAGE plpgsql AS
  'BEGIN COMMIT; DELETE FROM {SCHEMA}.kept; END';
"""

WRITES = [
    "DROP TABLE {}.kept",
    "COMMIT; DROP TABLE {}.kept",
    "SELECT 1; DROP TABLE {}.kept",
    "SELECT 1; COMMIT; DROP TABLE {}.kept;",
    "EXPLAIN SELECT 1; COMMIT; DROP TABLE {}.kept",
    "SHOW work_mem; ROLLBACK; DROP TABLE {}.kept",
    "COMMIT",
    "ROLLBACK TO SAVEPOINT reads_only",
    "SET TRANSACTION READ WRITE",
    "SET TRANSACTION READ WRITE; DROP TABLE {}.kept",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT set_config('transaction_read_only', 'off', false), {}.erase()",
    "SELECT {}.erase()",
    "SELECT {}.unlock()",
    "EXPLAIN ANALYZE DELETE FROM {}.kept",
    "/* a comment */ -- and one\n EXPLAIN (ANALYZE) SELECT {}.erase()",
    "WITH gone AS (DELETE FROM {}.kept RETURNING *) SELECT * FROM gone",
    "SELECT number INTO {}.new FROM {}.kept",
    "SELECT * FROM {}.kept FOR UPDATE",
    "SELECT nextval('{}.numbers')",
    "DO 'BEGIN DELETE FROM {}.kept; END'",
    "CALL {}.commit()",
    "COPY {}.kept TO STDOUT",
    "COPY {}.kept FROM STDIN",
    "CREATE TEMPORARY TABLE mine (a int)",
    "LOCK TABLE {}.kept",
    "VACUUM {}.kept",
    "",
    "-- nothing",
]


@pytest.fixture
def connection(stack: EmbeddedStack) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(stack.postgres().conninfo, autocommit=True)) as connected:
        connected.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connected.execute(OBJECTS.encode())
        yield connected


@pytest.fixture
def store(stack: EmbeddedStack, connection: psycopg.Connection) -> PostgresStore:
    return PostgresStore(stack.postgres(), SCHEMA)


def state(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    rows = connection.execute(
        f"SELECT count(*), (SELECT is_called FROM {SCHEMA}.numbers), "
        f"(SELECT count(*) FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace) "
        f"FROM {SCHEMA}.kept"
    )
    return rows.fetchall()


@pytest.mark.parametrize("statement", WRITES)
def test_a_statement_that_does_more_than_read_is_refused_and_changes_nothing(
    store: PostgresStore, connection: psycopg.Connection, statement: str
) -> None:
    before = state(connection)
    with pytest.raises(StoreError):
        first_rows(store, statement.replace("{}", SCHEMA), 10)
    assert state(connection) == before


READS: dict[str, list[tuple[object, ...]]] = {
    "SELECT 1 AS one": [(1,)],
    "  select 'a;b' AS text ; ": [("a;b",)],
    "WITH x AS (SELECT 1) TABLE x": [(1,)],
    "VALUES (1), (2)": [(1,), (2,)],
    "SELECT '%s', 100 % 7": [("%s", 2)],
    "SHOW transaction_read_only;": [("on",)],
}


@pytest.mark.parametrize("statement", READS)
def test_statements_that_read_are_answered(store: PostgresStore, statement: str) -> None:
    assert list(first_rows(store, statement, 10).rows) == READS[statement]


def test_a_plan_is_shown(store: PostgresStore) -> None:
    answer = first_rows(store, f"explain (costs off) SELECT * FROM {SCHEMA}.kept", 10)
    assert answer.columns == ["QUERY PLAN"]
    assert "Seq Scan on kept" in str(answer.rows[0][0])


def test_what_is_not_one_statement_that_reads_is_told_what_is(store: PostgresStore) -> None:
    with pytest.raises(PermanentStoreError, match="Give one statement that reads: SELECT"):
        first_rows(store, "COMMIT; DROP TABLE mine", 1)


@pytest.mark.parametrize(
    "statement", ["SELECT nextval('{}.numbers')", "SELECT * FROM {}.kept FOR UPDATE"]
)
def test_what_would_write_is_told_that_queries_read(store: PostgresStore, statement: str) -> None:
    with pytest.raises(PermanentStoreError, match="in a read-only transaction: it only reads"):
        first_rows(store, statement.format(SCHEMA), 1)


def test_only_the_rows_that_are_shown_are_computed(store: PostgresStore) -> None:
    # All of them would take hours.
    many = "SELECT a, b FROM generate_series(1, 200000) a, generate_series(1, 200000) b"
    answer = first_rows(store, many, 2)
    assert (len(answer.rows), answer.more, answer.columns) == (2, True, ["a", "b"])


@pytest.mark.parametrize(
    "statement", ["SELECT pg_sleep(600)", "EXPLAIN ANALYZE SELECT pg_sleep(600)"]
)
def test_ctrl_c_ends_the_statement_on_the_server(
    stack: EmbeddedStack, connection: psycopg.Connection, tmp_path: Path, statement: str
) -> None:
    def working() -> int:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    process = subprocess.Popen(
        [sys.executable, "-m", "taxi_platform.cli.main", "query", "--store", "postgres", statement],
        cwd=tmp_path,
        env=stack.environ(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while working() == 0:
        assert process.poll() is None, process.stderr
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in said
    # The server takes a moment to end it.
    deadline = time.monotonic() + 30
    while working():
        assert time.monotonic() < deadline
        time.sleep(0.05)
