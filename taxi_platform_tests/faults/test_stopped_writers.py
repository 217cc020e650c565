"""A writer that stops or waits keeps neither readers nor other writers from their work."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres import changes
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.months import cleaned_month

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = TripMonth.from_key("green|2023-03")
SCHEMA = "stopped"
CHILD = f"{SCHEMA}.green_trips_2023_03"

WRITER = """
import os, signal, sys
from pathlib import Path
import taxi_platform_tests.faults.kill_worker as kill_worker
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres import server as servers
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.months import cleaned_month

signal.SIGKILL = signal.SIGSTOP  # the killer stops it instead
servers._TRANSACTION["idle_in_transaction_session_timeout"] = "2s"
host, port, user, password, database, schema, folder, function, event, nth = sys.argv[1:]
trips = cleaned_month(LandingZone(Path(folder)), TripMonth.from_key("green|2023-03"), 700)
store = PostgresStore(servers.PostgresServer(host, int(port), user, password, database), schema)
sys.setprofile(kill_worker.Killer(
    [("taxi_platform.stores.postgres.loads:_exchange", "call", 1), (function, event, int(nth))]
))
store.replace_month(trips)
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path_factory.mktemp("cluster")) as own:
        yield own


@pytest.fixture
def server(postgres: OwnPostgres) -> PostgresServer:
    return postgres.at(postgres.port)


@pytest.fixture
def store(server: PostgresServer) -> PostgresStore:
    return PostgresStore(server, SCHEMA)


@contextmanager
def stopped_writer(
    server: PostgresServer, folder: Path, function: str, event: str, nth: int
) -> Iterator[None]:
    """A process that loads 700 rows and stops itself in the exchange."""
    where = (server.host, str(server.port), server.user, server.password, server.database)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, *where, SCHEMA, str(folder), function, event, str(nth)],
        cwd=PROJECT,
    )
    try:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert process.poll() is None, "it ended before"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def test_a_writer_that_is_stopped_in_the_exchange_keeps_no_lock(
    server: PostgresServer, store: PostgresStore, landing: LandingZone, tmp_path: Path
) -> None:
    store.replace_month(cleaned_month(landing, MONTH, 100))
    sent = ("psycopg._cursor_base:BaseCursor._execute_send", "return", 2)
    with stopped_writer(server, tmp_path, *sent), closing(connected(server)) as reader:
        reader.execute("SET statement_timeout = '20s'")
        while (rows := count(reader)) == 100:
            time.sleep(0.05)
        assert rows == 700 - rejected(landing)
        trips = cleaned_month(landing, MONTH, 300)
        store.replace_month(trips)
        assert store.totals(MONTH) == trips.totals


def test_a_writer_that_is_stopped_while_it_waits_for_its_turn_gives_up_the_month(
    server: PostgresServer, store: PostgresStore, landing: LandingZone, tmp_path: Path
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    store.replace_month(trips)
    with closing(psycopg.connect(server.conninfo)) as reader:
        reader.execute(f"SELECT FROM {SCHEMA}.green_trips LIMIT 1")  # holds its lock
        with stopped_writer(
            server, tmp_path, "taxi_platform.stores.postgres.changes:_pause", "call", 1
        ):
            reader.rollback()
            store.replace_month(trips)
            assert store.totals(MONTH) == trips.totals


def test_the_server_looks_for_clients_that_have_vanished(server: PostgresServer) -> None:
    with server.transaction() as connection:
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        }
        (user_timeout,) = connection.execute("SHOW tcp_user_timeout").fetchone() or ("",)
    assert [value and int(value[0]) for value in found.values()] == [60, 10, 6]
    assert user_timeout in ("2min", "120000", "120s")


def test_a_server_that_ends_idle_sessions_does_not_end_a_load(
    postgres: OwnPostgres, store: PostgresStore, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 30_000)
    with postgres.administrator() as administrator:
        administrator.execute("ALTER ROLE taxi SET idle_session_timeout = '1s'")
        try:
            store.replace_month(trips, lambda _: time.sleep(1.5))
        finally:
            administrator.execute("ALTER ROLE taxi RESET idle_session_timeout")
    assert store.totals(MONTH) == trips.totals


def test_autovacuum_on_the_month_lets_the_exchange_pass(
    postgres: OwnPostgres,
    server: PostgresServer,
    store: PostgresStore,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 20)
    store.replace_month(cleaned_month(landing, MONTH, 20_000))
    trips = cleaned_month(landing, MONTH, 200)
    with postgres.administrator() as administrator, slow_autovacuum(administrator):
        administrator.execute(f"UPDATE {CHILD} SET tip_amount = 1")
        deadline = time.monotonic() + 100
        while not vacuuming(administrator):
            assert time.monotonic() < deadline, "no autovacuum came"
            time.sleep(0.1)
        with closing(connected(server)) as reader:
            slowest = Slowest(reader)
            store.replace_month(trips)
            waited = slowest.stop()
    assert store.totals(MONTH) == trips.totals
    # Readers do not wait as long as autovacuum takes to let go, which is more than a second.
    assert waited < 1


@contextmanager
def slow_autovacuum(administrator: psycopg.Connection) -> Iterator[None]:
    """Autovacuum looks for work each second, and takes minutes for the month."""
    settings = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_threshold": "1",
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_cost_delay": "100",
        "autovacuum_vacuum_cost_limit": "1",
    }
    for name, value in settings.items():
        administrator.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    administrator.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in settings:
            administrator.execute(f"ALTER SYSTEM RESET {name}")
        administrator.execute("SELECT pg_reload_conf()")


def vacuuming(administrator: psycopg.Connection) -> bool:
    row = administrator.execute(
        "SELECT FROM pg_locks WHERE relation = %s::regclass "
        "AND mode = 'ShareUpdateExclusiveLock' AND granted",
        [CHILD],
    ).fetchone()
    return row is not None


class Slowest:
    """The slowest answer of a reader that asks all the time."""

    def __init__(self, reader: psycopg.Connection) -> None:
        self._reader = reader
        self._seconds = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._reader.execute(f"SELECT FROM {SCHEMA}.green_trips LIMIT 1")
            self._seconds = max(self._seconds, time.monotonic() - began)
            time.sleep(0.02)

    def stop(self) -> float:
        self._stopping.set()
        self._thread.join()
        return self._seconds


def connected(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(server.conninfo, autocommit=True)


def count(reader: psycopg.Connection) -> int:
    row = reader.execute(f"SELECT count(*) FROM {SCHEMA}.green_trips").fetchone()
    assert row is not None
    return int(row[0])


def rejected(landing: LandingZone) -> int:
    """How many of 700 synthetic rows are rejected."""
    return 700 - cleaned_month(landing, MONTH, 700).rows
