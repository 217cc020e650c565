"""A host that vanishes while it loads a month keeps nobody from loading it."""

import subprocess
import sys
import time

import pytest

from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.faults.hosts import two_hosts
from taxi_platform_tests.faults.own_postgres import sessions
from taxi_platform_tests.months import cleaned_month
from taxi_platform_tests.stores.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = TripMonth.from_key("green|2023-03")

WRITER = """
import sys, time
from pathlib import Path
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres import server as servers
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.months import cleaned_month

def stall(_rows):
    print("copying", flush=True)
    time.sleep(600)

host, port, user, password, database, folder = sys.argv[1:]
# Two minutes by default.
servers._TRANSACTION.update(
    tcp_keepalives_idle="2", tcp_keepalives_interval="1", tcp_keepalives_count="3",
    tcp_user_timeout="5000",
)
trips = cleaned_month(LandingZone(Path(folder)), TripMonth.from_key("green|2023-03"), 30_000)
server = servers.PostgresServer(host, int(port), user, password, database)
PostgresStore(server).replace_month(trips, stall)
"""


def test_the_month_of_a_host_that_vanished_can_be_loaded(
    landing: LandingZone, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with two_hosts() as (database, writers), debian_postgres(15, database) as cluster:
        store = PostgresStore(cluster.local)
        old = cleaned_month(landing, MONTH, 100)
        store.replace_month(old)
        server = cluster.server
        with subprocess.Popen(
            [
                *(*writers.prefix, sys.executable, "-c", WRITER, server.host, str(server.port)),
                *(server.user, server.password, server.database),
                str(tmp_path_factory.mktemp("other host")),
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == "copying\n"
                assert store.totals(MONTH) == old.totals
                assert sessions(cluster.local) == 1
                writers.cut_off()
            finally:
                # The server would see that it ends, were it not cut off.
                process.kill()
        deadline = time.monotonic() + 30
        while sessions(cluster.local):
            assert time.monotonic() < deadline, "the server still waits for it"
            time.sleep(0.2)
        assert store.totals(MONTH) == old.totals
        new = cleaned_month(landing, MONTH, 300)
        store.replace_month(new)
        assert store.totals(MONTH) == new.totals
