"""dbt on the local stack: the example project on BigQuery and on Postgres, with equal figures.

dbt's packages do not go with the platform's, so it has an environment of its own, made from the
example's lock file; where that cannot be made, the tests skip. So does dagster-dbt, with which the
models are assets: it is put beside the platform's packages, as docs/dbt.md says.
"""

import ast
import datetime
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    install = ["pip", "install", "--python", str(folder / "bin" / "python"), "--require-hashes"]
    installed("venv", "--python", sys.executable, str(folder))
    installed(*install, "-r", str(EXAMPLE / "requirements.lock"))
    return folder / "bin" / "dbt"


def installed(*arguments: str) -> None:
    """Runs uv; where packages cannot be had, the test skips."""
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        pytest.skip(f"dbt cannot be installed: {done.stderr.strip()[-300:]}")


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

    def environment(self, target: str) -> dict[str, str]:
        """The variables with which dbt runs on one of the stores."""
        return self._environment | {
            "DBT_DATASET": TARGET,
            "DBT_LOG_PATH": str(self.folder / target / "logs"),
            "DBT_PROFILES_DIR": str(EXAMPLE),
            "DBT_PROJECT_DIR": str(EXAMPLE),
            "DBT_TARGET_PATH": str(self.folder / target),
            "TAXI_GCP_PROJECT": "dbt-test",
        }

    def build(self) -> None:
        """Builds every model on both stores, at the same time."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda target: self.run(target, "build"), ("emulator", "postgres")))

    def run(self, target: str, *command: str) -> None:
        """Runs dbt on one of the stores."""
        variables = json.dumps({"trips_schema": SOURCE})
        done = subprocess.run(
            [str(self._dbt), *command, "--target", target, "--vars", variables],
            cwd=self.folder,
            env=self.environment(target),
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
        made.build()
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

    stores.build()

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


# Materializes two of the models, and prints what came of it.
MATERIALIZED = """
import dagster as dg
import sys

sys.path[:0] = sys.argv[1:]
from trips_with_dbt import defs, trips_models

selection = dg.AssetSelection.assets("payment_types", "stg_green_trips")
jobs = dg.Definitions(jobs=[dg.define_asset_job("models", selection)])
job = dg.Definitions.merge(defs, jobs).resolve_job_def("models")
run = job.execute_in_process(instance=dg.DagsterInstance.ephemeral())
keys = [event.asset_key.to_user_string() for event in run.get_asset_materialization_events()]
upstream = trips_models.asset_deps[dg.AssetKey("stg_green_trips")]
print([run.success, sorted(keys), [key.to_user_string() for key in upstream], trips_models.op.pool])
"""


def test_the_models_are_assets_behind_the_platforms(
    stores: Stores, dbt: Path, tmp_path: Path
) -> None:
    documented = (PROJECT / "docs" / "dbt.md").read_text()
    release = re.findall(r"dagster-dbt==[\d.]+", documented)[0]
    installed("pip", "install", "--no-deps", "--target", str(tmp_path / "packages"), release)
    example = tmp_path / "examples" / "dbt_trips"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns(".venv", "target"))
    (example / ".venv").symlink_to(dbt.parent.parent)
    (tmp_path / "trips_with_dbt.py").write_text(
        documented.partition("```python\n")[2].partition("```")[0]
    )
    project = example / "dbt_project.yml"
    project.write_text(
        project.read_text().replace("trips_schema: trips", f"trips_schema: {SOURCE}")
    )
    (example / "target").mkdir()
    shutil.copy(stores.folder / "emulator" / "manifest.json", example / "target")
    own = {"DBT_TARGET_PATH": str(example / "target"), "DBT_PROJECT_DIR": str(example)}

    done = subprocess.run(
        [sys.executable, "-c", MATERIALIZED, str(tmp_path), str(tmp_path / "packages")],
        cwd=tmp_path,
        env=stores.environment("emulator") | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    models = ["payment_types", "stg_green_trips"]
    shown = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert shown == [True, models, ["bigquery_trips"], "dbt"]
