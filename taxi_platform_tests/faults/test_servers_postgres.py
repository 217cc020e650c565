"""Postgres on bad days: a month arrives late or not at all, and readers see the old one till then.

The server is one of these tests' own, so that it can be stopped and started.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from taxi_platform.local.postgres_server import ROLE
from taxi_platform_tests.faults.month_runs import (
    Contents,
    MonthRuns,
    failures,
    in_postgres,
    retried,
    tables_in,
)
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.faults.tcp_fault_proxy import Cut, TcpFaultProxy, tcp_fault_proxy

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = "yellow|2019-02"
TABLES = ["yellow_trips", "yellow_trips_2019_02"]

_rows = count(8_000, 7)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path_factory.mktemp("cluster")) as own:
        yield own


@pytest.fixture(scope="module")
def proxy(postgres: OwnPostgres) -> Iterator[TcpFaultProxy]:
    with tcp_fault_proxy(postgres.port) as running:
        yield running


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("months")


@pytest.fixture
def runs(
    postgres: OwnPostgres, proxy: TcpFaultProxy, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> MonthRuns:
    server = postgres.at(proxy.port)
    settings = {
        "TAXI_POSTGRES_HOST": server.host,
        "TAXI_POSTGRES_PORT": str(server.port),
        "TAXI_POSTGRES_USER": server.user,
        "TAXI_POSTGRES_PASSWORD": server.password,
        "TAXI_POSTGRES_DATABASE": server.database,
        "TAXI_DATA_DIR": str(folders / "data"),
        "TAXI_ENV": "local",
    }
    return MonthRuns(settings, folders / "published", monkeypatch)


@pytest.fixture
def old(postgres: OwnPostgres, runs: MonthRuns) -> Contents:
    """The month as Postgres has it before the fault."""
    if tables_in(postgres.conninfo, "trips") != TABLES:
        runs.clean(MONTH, next(_rows))
        result = runs.run(MONTH, "postgres_trips")
        assert result.success, failures(result)
    return in_postgres(postgres.conninfo, "trips", MONTH)


@pytest.fixture
def new(old: Contents, runs: MonthRuns) -> Contents:
    """The month as it is published and cleaned now, and not in Postgres yet."""
    published = runs.clean(MONTH, next(_rows))
    assert published != old
    return published


CUTS = {
    "while it connects": Cut(b"user\0"),
    "before the new table is made": Cut(b"CREATE TABLE"),
    "as the copy begins": Cut(b"COPY "),
    "in the middle of the copy": Cut(b"COPY ", passed_on=4),
    "while the new table is indexed": Cut(b"USING brin", arrives=True),
    "before the exchange": Cut(b"ATTACH PARTITION"),
    "when the exchange is committed and nobody knows": Cut(b"ATTACH PARTITION", arrives=True),
    "while the check adds up": Cut(b"SELECT count(*), sum"),
}


@pytest.mark.parametrize("when", CUTS)
def test_a_connection_that_is_cut_delays_the_month_and_leaves_nothing_behind(
    runs: MonthRuns, proxy: TcpFaultProxy, postgres: OwnPostgres, new: Contents, when: str
) -> None:
    with proxy.cutting(replace(CUTS[when])) as cut:
        result = runs.run(MONTH, "postgres_trips")
    assert cut.cuts == 1
    assert result.success, failures(result)
    assert len(retried(result)) == 1
    assert in_postgres(postgres.conninfo, "trips", MONTH) == new
    assert tables_in(postgres.conninfo, "trips") == TABLES


@pytest.mark.parametrize("when", ["in the middle of the copy", "before the exchange"])
def test_connections_that_are_always_cut_fail_the_month_clearly_and_keep_the_old_one(
    runs: MonthRuns,
    proxy: TcpFaultProxy,
    postgres: OwnPostgres,
    old: Contents,
    new: Contents,
    when: str,
) -> None:
    with proxy.cutting(replace(CUTS[when], times=None)):
        result = runs.run(MONTH, "postgres_trips")
    assert retried(result) == ["postgres_trips"]
    said = failures(result)["postgres_trips"]
    address = f"Postgres at 127.0.0.1:{proxy.port}/taxi, trips.yellow_trips"
    assert said.startswith(f"{MONTH}: {address}: cannot be reached"), said
    assert "taxi-platform local up" in said
    assert postgres.passwords[ROLE] not in str(result.all_events)
    assert in_postgres(postgres.conninfo, "trips", MONTH) == old
    assert runs.run(MONTH, "postgres_trips").success
    assert in_postgres(postgres.conninfo, "trips", MONTH) == new
    assert tables_in(postgres.conninfo, "trips") == TABLES


def test_postgres_may_be_stopped_and_started_in_the_middle_of_a_load(
    runs: MonthRuns, proxy: TcpFaultProxy, postgres: OwnPostgres, new: Contents
) -> None:
    def restart() -> None:
        postgres.stop()
        postgres.start()

    with proxy.cutting(Cut(b"COPY ", passed_on=4, meanwhile=restart)):
        result = runs.run(MONTH, "postgres_trips")
    assert result.success, failures(result)
    assert retried(result) == ["postgres_trips"]
    assert in_postgres(postgres.conninfo, "trips", MONTH) == new
    assert tables_in(postgres.conninfo, "trips") == TABLES


def test_postgres_stopped_in_the_middle_of_a_load_fails_the_month_and_keeps_the_old_one(
    runs: MonthRuns, proxy: TcpFaultProxy, postgres: OwnPostgres, old: Contents, new: Contents
) -> None:
    with proxy.cutting(Cut(b"ATTACH PARTITION", meanwhile=postgres.stop)):
        result = runs.run(MONTH, "postgres_trips")
    assert retried(result) == ["postgres_trips"]
    said = failures(result)["postgres_trips"]
    assert said.startswith(f"{MONTH}: Postgres at 127.0.0.1:{proxy.port}/taxi"), said
    assert "Is it up ('taxi-platform local up' starts the embedded one)?" in said
    postgres.start()
    assert in_postgres(postgres.conninfo, "trips", MONTH) == old
    assert runs.run(MONTH, "postgres_trips").success
    assert in_postgres(postgres.conninfo, "trips", MONTH) == new
    assert tables_in(postgres.conninfo, "trips") == TABLES
