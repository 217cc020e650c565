import math
import os
import signal
import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
from dagster import DagsterInstance
from dagster._core.storage.defs_state.base import DEFS_STATE_INFO_CURSOR_KEY
from psycopg import sql
from sqlalchemy import text

from taxi_platform import dagster_storage
from taxi_platform.dagster_storage import PooledEventLogStorage, StorageUnavailableError
from taxi_platform.local.postgres_server import ROLE
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration


@pytest.fixture
def instance(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    with DagsterInstance.get() as from_yaml:
        yield from_yaml


def events(instance: DagsterInstance) -> PooledEventLogStorage:
    storage = instance.event_log_storage
    kept = getattr(storage, "_storage", storage)
    found = getattr(kept, "event_log_storage", kept)
    assert isinstance(found, PooledEventLogStorage)
    return found


def backend(storage: PooledEventLogStorage) -> int:
    """The process of the server that a query of the storage is answered by."""
    with storage.index_connection() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_statements_share_a_connection(instance: DagsterInstance) -> None:
    storage = events(instance)
    assert len({backend(storage) for _ in range(5)}) == 1


def test_statements_at_once_do_not_wait_for_each_other(instance: DagsterInstance) -> None:
    storage = events(instance)
    with storage.index_connection() as first, storage.index_connection() as second:
        pids = [c.execute(text("SELECT pg_backend_pid()")).scalar_one() for c in (first, second)]
    assert pids[0] != pids[1]


def test_a_kept_connection_notices_soon_that_its_servers_host_is_gone(
    instance: DagsterInstance,
) -> None:
    with events(instance).index_connection() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as opened:
            idle, unsent = (
                opened.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)
            )
    assert (idle, unsent) == (10, 25_000)


def test_a_server_that_dropped_the_connection_is_not_noticed(
    instance: DagsterInstance, stack: EmbeddedStack
) -> None:
    storage = events(instance)
    before = backend(storage)
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [before])
        wait_until_gone(connection, before)
    assert backend(storage) != before


def test_an_instance_that_is_disposed_of_leaves_no_connection(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    with DagsterInstance.get() as instance:
        pid = backend(events(instance))
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        wait_until_gone(connection, pid)


def test_a_forked_process_opens_a_connection_of_its_own(instance: DagsterInstance) -> None:
    storage = events(instance)
    parents = backend(storage)
    child = os.fork()
    if child == 0:
        different = backend(storage) != parents
        os.kill(os.getpid(), signal.SIGKILL if different else signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert backend(storage) == parents


def test_what_is_there_is_asked_for_once_and_what_is_not_again(instance: DagsterInstance) -> None:
    storage = events(instance)
    assert storage.has_table("event_logs")
    assert not storage.has_table("later")
    with storage.index_connection() as connection:
        connection.execute(text("CREATE TABLE later ()"))
    try:
        assert storage.has_table("later")
    finally:
        with storage.index_connection() as connection:
            connection.execute(text("DROP TABLE later"))
    assert storage.has_asset_key_col("last_materialization_timestamp")


def instance_of_its_own(stack: EmbeddedStack, database: str) -> DagsterInstance:
    """An instance in a new database."""
    with stack.administrator() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (database, ROLE)))
        )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        patch.setenv("TAXI_DAGSTER_POSTGRES_DATABASE", database)
        return DagsterInstance.get()


def test_a_database_without_tables_gets_them_when_it_is_first_asked(
    stack: EmbeddedStack,
) -> None:
    instance = instance_of_its_own(stack, "first_asked")
    with instance, psycopg.connect(stack.postgres().conninfo, dbname="first_asked") as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)
        assert instance.get_runs_count() == 0
        assert instance.get_asset_keys() == []
        assert instance.all_instigator_state() == []
        connection.rollback()
        (count,) = connection.execute(tables).fetchone() or (0,)
        assert count > 20


@pytest.mark.slow  # it tries for three seconds
def test_a_database_that_goes_away_is_told_in_one_line_and_used_again_when_it_is_back(
    stack: EmbeddedStack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_storage, "_last_said", -math.inf)
    with instance_of_its_own(stack, "goes_away") as instance, stack.administrator() as admin:
        assert instance.get_runs_count() == 0
        admin.execute("ALTER DATABASE goes_away ALLOW_CONNECTIONS false")
        gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'goes_away'"
        admin.execute(gone)
        caplog.clear()
        for ask in (instance.get_runs_count, instance.get_asset_keys):
            with pytest.raises(StorageUnavailableError, match="not currently accepting") as error:
                ask()
        said = [record.getMessage() for record in caplog.records if record.name == "dagster"]
        assert said == [error.value.message]  # once for all who ask
        admin.execute("ALTER DATABASE goes_away ALLOW_CONNECTIONS true")
        assert instance.get_runs_count() == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"TAXI_DAGSTER_POSTGRES_DATABASE": None}, "TAXI_DAGSTER_POSTGRES_DATABASE is not set"),
        ({"TAXI_POSTGRES_PORT": "1"}, "Connection refused"),
        ({"TAXI_POSTGRES_PASSWORD": "hunter2-secret"}, "password authentication failed"),
    ],
)
def test_records_that_cannot_be_reached_are_told_in_one_line_without_secrets(
    stack: EmbeddedStack,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str | None],
    said: str,
) -> None:
    for name, value in (stack.environment | changed).items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with DagsterInstance.get() as instance:  # to make one is not to ask it
        assert instance.run_storage.get_cursor_values({DEFS_STATE_INFO_CURSOR_KEY}) == {}
        with pytest.raises(StorageUnavailableError) as error:
            instance.get_runs_count()
    message = error.value.format_message()
    assert said in message
    assert "taxi-platform local up" in message
    assert "\n" not in message
    assert "hunter2-secret" not in message


def test_a_server_that_says_nothing_is_told_in_one_line(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_storage, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = {"TAXI_POSTGRES_PORT": str(silent.getsockname()[1])}
        for name, value in (stack.environment | changed).items():
            monkeypatch.setenv(name, value)
        with (
            DagsterInstance.get() as instance,
            pytest.raises(StorageUnavailableError, match="timeout expired"),
        ):
            instance.get_runs_count()


def wait_until_gone(connection: psycopg.Connection, pid: int) -> None:
    deadline = time.monotonic() + 60
    while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.02)
