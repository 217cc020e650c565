"""dbt on the local stack: the example project on BigQuery and on Postgres, with equal figures.

dbt's packages do not go with the platform's, so it has an environment of its own, made from the
example's lock file; where that cannot be made, the tests skip.
"""

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, inherited_environment

pytestmark = pytest.mark.integration

EXAMPLE = PROJECT / "examples" / "dbt_trips"
SOURCE, TARGET = "dbt_source", "dbt_target"
MODELS = {
    "revenue_by_payment": "data_file_month, payment_name",
    "trips_by_zone": "data_file_month, pickup_location_id",
    "trips_by_day": "data_file_month, pickup_day",
}
COLUMNS = {
    "data_file_month": ("DATE", "date"),
    "pickup_datetime": ("DATETIME", "timestamp"),
    "pickup_location_id": ("INT64", "smallint"),
    "payment_type": ("INT64", "smallint"),
    "total_amount": ("FLOAT64", "double precision"),
}


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in an environment of its own."""
    folder = tmp_path_factory.mktemp("dbt") / "venv"
    uv = [sys.executable, "-m", "uv"]
    install = ["pip", "install", "--python", str(folder / "bin" / "python"), "--require-hashes"]
    commands = [
        [*uv, "venv", "--python", sys.executable, str(folder)],
        [*uv, *install, "-r", str(EXAMPLE / "requirements.lock")],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(f"dbt cannot be installed: {done.stderr.strip()[-300:]}")
    return folder / "bin" / "dbt"


class Stores:
    """The two stores, with the same trips in both, and dbt that runs on each."""

    def __init__(self, stack: EmbeddedStack, dbt: Path, folder: Path) -> None:
        self._environment = inherited_environment() | stack.environment
        self._dbt = dbt
        self.folder = folder
        self.bigquery = bigquery.Client(
            project="dbt-test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": stack.environment["BIGQUERY_EMULATOR_HOST"]},
        )
        server = stack.postgres()
        self.postgres = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            dbname=server.database,
            autocommit=True,
        )

    def close(self) -> None:
        """Removes what the tests made."""
        for schema in (SOURCE, TARGET):
            self.bigquery.delete_dataset(schema, delete_contents=True, not_found_ok=True)
            self.postgres.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        self.bigquery.close()
        self.postgres.close()

    def create(self) -> None:
        """Makes the empty source tables."""
        ours = ", ".join(f"{name} {kinds[0]}" for name, kinds in COLUMNS.items())
        theirs = ", ".join(f"{name} {kinds[1]}" for name, kinds in COLUMNS.items())
        self.bigquery.create_dataset(SOURCE)
        self.bigquery.query_and_wait(
            f"CREATE TABLE {SOURCE}.green_trips ({ours}) "
            "PARTITION BY DATE_TRUNC(data_file_month, MONTH)"
        )
        self.postgres.execute(f"CREATE SCHEMA {SOURCE}")
        self.postgres.execute(f"CREATE TABLE {SOURCE}.green_trips ({theirs})")

    def put(self, month: int, trips: int) -> None:
        """Replaces a month by so many trips."""
        first = f"DATE '2024-{month:02d}-01'"
        rows = ", ".join(
            f"({first}, {{0}} '2024-{month:02d}-{n % 28 + 1:02d} 10:00:00', "
            f"{'NULL' if n % 17 == 0 else n % 9}, {n % 7}, {n * 0.25 + month})"
            for n in range(trips)
        )
        self.bigquery.query_and_wait(
            f"DELETE FROM {SOURCE}.green_trips WHERE data_file_month = {first}"
        )
        self.postgres.execute(f"DELETE FROM {SOURCE}.green_trips WHERE data_file_month = {first}")
        values = f"INSERT INTO {SOURCE}.green_trips VALUES {rows}"
        self.bigquery.query_and_wait(values.format("DATETIME"))
        self.postgres.execute(values.format("TIMESTAMP"))

    def run(self, target: str, *command: str) -> None:
        """Runs dbt on one of the stores."""
        environment = self._environment | {
            "DBT_DATASET": TARGET,
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_PROFILES_DIR": str(EXAMPLE),
            "DBT_PROJECT_DIR": str(EXAMPLE),
            "DBT_TARGET_PATH": str(self.folder / target),
            "TAXI_GCP_PROJECT": "dbt-test",
        }
        variables = json.dumps({"trips_schema": SOURCE})
        done = subprocess.run(
            [str(self._dbt), *command, "--target", target, "--vars", variables],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]

    def figures(self, target: str) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of each model on one of the stores, in order."""
        found = {}
        for model, order in MODELS.items():
            sql = f"SELECT * FROM {TARGET}.{model} ORDER BY {order}"
            if target == "postgres":
                rows = [tuple(row) for row in self.postgres.execute(sql).fetchall()]
            else:
                rows = [tuple(row.values()) for row in self.bigquery.query_and_wait(sql)]
            found[model] = rows
        return found


@pytest.fixture(scope="module")
def stores(
    stack: EmbeddedStack, dbt: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Both stores with two months of trips, and every model built on them once."""
    made = Stores(stack, dbt, tmp_path_factory.mktemp("dbt-runs"))
    try:
        made.create()
        made.put(1, 200)
        made.put(2, 150)
        for target in ("emulator", "postgres"):
            made.run(target, "build")
        yield made
    finally:
        made.close()


def test_both_stores_have_the_same_figures(stores: Stores) -> None:
    figures = stores.figures("emulator")

    assert figures == stores.figures("postgres")
    assert sum(row[2] for row in figures["trips_by_day"]) == 350
    assert {row[0] for row in figures["trips_by_zone"]} == {
        datetime.date(2024, month, 1) for month in (1, 2)
    }


def test_incremental_models_take_up_what_changed(stores: Stores) -> None:
    stores.put(2, 40)
    stores.put(3, 60)

    for target in ("emulator", "postgres"):
        stores.run(target, "build")

    figures = stores.figures("emulator")
    assert figures == stores.figures("postgres")
    # February was replaced by its partition, and March came new.
    days = figures["trips_by_day"]
    trips = {month: sum(row[2] for row in days if row[0].month == month) for month in (1, 2, 3)}
    assert trips == {1: 200, 2: 40, 3: 60}


def test_docs_are_generated_from_the_catalog(stores: Stores) -> None:
    stores.run("emulator", "docs", "generate")

    catalog = json.loads((stores.folder / "emulator" / "catalog.json").read_text())
    assert not catalog["errors"]
    view = catalog["nodes"]["model.dbt_trips.stg_green_trips"]
    assert view["metadata"]["type"] == "view"
    assert view["columns"]["data_file_month"]["type"] == "DATE"
    days = catalog["nodes"]["model.dbt_trips.trips_by_day"]
    assert days["stats"]["num_rows"]["value"] > 0
