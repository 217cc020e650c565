import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest
from dagster import DagsterInstance
from sqlalchemy import text

from taxi_platform.dagster_storage import PooledEventLogStorage
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


def wait_until_gone(connection: psycopg.Connection, pid: int) -> None:
    deadline = time.monotonic() + 60
    while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.02)
