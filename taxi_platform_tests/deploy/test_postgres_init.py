"""What the Postgres of compose.yaml is set up with, in a cluster like its image's."""

import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from taxi_platform.landing.zone import LandingZone
from taxi_platform.local.postgres_placement import programs_for
from taxi_platform.local.postgres_server import ADMIN
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

PASSWORD = 'it\'s "of" a $test'
MONTH = TripMonth.from_key("green|2023-03")


def set_up(own: OwnPostgres) -> None:
    """Runs the script as the image does."""
    subprocess.run(
        ["bash", PROJECT / "deploy/postgres-init.sh"],
        check=True,
        env={
            "PATH": f"{programs_for(None)}:/usr/bin:/bin",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(own.port),
            "PGPASSWORD": own.passwords[ADMIN],
            "POSTGRES_USER": ADMIN,
            "POSTGRES_DB": ADMIN,
            "POSTGRES_PASSWORD": PASSWORD,
            "TAXI_POSTGRES_USER": "loader",
            "TAXI_POSTGRES_DATABASE": "trips-of-a-team",
            "TAXI_DAGSTER_POSTGRES_DATABASE": "records",
        },
    )


def test_the_platform_works_as_a_role_that_is_no_superuser(
    tmp_path: Path, landing: LandingZone
) -> None:
    with own_postgres(tmp_path) as own:
        set_up(own)
        store = PostgresStore(
            PostgresServer("127.0.0.1", own.port, "loader", PASSWORD, "trips-of-a-team")
        )
        store.check_access()
        trips = cleaned_month(landing, MONTH, 100)
        store.replace_month(trips)
        assert store.totals(MONTH) == trips.totals
        with closing(psycopg.connect(store.server.conninfo, dbname="records")) as connection:
            connection.execute("CREATE TABLE runs ()")  # as Dagster does
            powers = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
            query = f"SELECT {powers} FROM pg_roles WHERE rolname = current_user"
            assert connection.execute(query.encode()).fetchone() == (False,)


def test_the_superuser_cannot_log_in_over_the_network(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as own:
        server = PostgresServer("127.0.0.1", own.port, ADMIN, own.passwords[ADMIN], ADMIN)
        psycopg.connect(server.conninfo).close()
        set_up(own)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.conninfo)
