"""A platform with some of the stores: everything that is made from them follows."""

import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance, Definitions
from typer.testing import CliRunner

from taxi_platform.assets.keys import LOADED, ZONES, mart_keys, trip_keys
from taxi_platform.automation.months import MonthRecords
from taxi_platform.checks.reconciliation import TABLE_CHECK
from taxi_platform.cli.main import app
from taxi_platform.definitions import build_defs
from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform.landing.zone import LandingZone
from taxi_platform.marts.definitions import MARTS
from taxi_platform.settings import load_settings
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import GREEN
from taxi_platform_tests.sources.publisher import Publisher

EXPECTED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "postgres": (
        {"raw_trips", "cleaned_trips", "postgres_trips", "taxi_zones"},
        {"ingest_month", "web_to_postgres"},
        {"published_months", "automation_conditions"},
    ),
    "bigquery": (
        {"raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "taxi_zones"},
        {"ingest_month", "web_to_gcs", "gcs_to_bigquery"},
        {"published_months", "gcs_objects_to_bigquery", "automation_conditions"},
    ),
    "gcs": (
        {"raw_trips", "cleaned_trips", "gcs_trips"},
        {"ingest_month", "web_to_gcs"},
        {"published_months", "automation_conditions"},
    ),
    "bigquery,gcs,postgres": (
        {
            *("raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips"),
            "taxi_zones",
        },
        {"ingest_month", "web_to_gcs", "gcs_to_bigquery", "web_to_postgres"},
        {"published_months", "gcs_objects_to_bigquery", "automation_conditions"},
    ),
}


@pytest.mark.parametrize("stores", EXPECTED)
def test_assets_jobs_sensors_and_checks_are_those_of_the_stores(
    stores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_STORES", stores)
    chosen = load_settings()
    defs = build_defs(chosen)
    Definitions.validate_loadable(defs)
    assets, jobs, sensors = EXPECTED[stores]
    made = {f"{s.name}_{mart}" for s in chosen.table_stores for mart in MARTS}
    drawn = {"loaded_months", *(["trips_report"] if made else [])}
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == assets | made | drawn
    repository = defs.get_repository_def()
    assert {name for name in repository.job_names if not name.startswith("__")} == jobs
    assert {sensor.name for sensor in repository.sensor_defs} == sensors
    assert [schedule.name for schedule in repository.schedule_defs] == ["monthly"]
    ingested = repository.get_job("ingest_month").asset_layer.executable_asset_keys
    zones = {ZONES} if chosen.table_stores else set()
    whole = {*trip_keys(chosen), *mart_keys(chosen), *zones, LOADED}
    assert ingested == whole, "the job is not the whole way"
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked == (assets | made) - {"raw_trips", "taxi_zones"}


GOOGLE = ("google.cloud", "google.auth", "google.api_core", "dagster_gcp")


@pytest.mark.slow
def test_without_googles_stores_nothing_of_google_is_imported() -> None:
    script = f"""
import os, sys
os.environ["TAXI_STORES"] = "postgres"
from dagster import Definitions
from taxi_platform.definitions import defs
Definitions.validate_loadable(defs())
print(*sorted(name for name in sys.modules if name.startswith({GOOGLE!r})))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.integration
def test_a_month_goes_from_the_web_to_postgres_where_that_is_all(
    stack: EmbeddedStack,
    publisher: Publisher,
    green_parquet: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = {
        "TAXI_STORES": "postgres",
        "TAXI_SOURCE_URL": publisher.template,
        "TAXI_DATA_DIR": str(tmp_path),
        "TAXI_POSTGRES_SCHEMA": "alone",
    }
    for name, value in (stack.environment | changed).items():
        monkeypatch.setenv(name, value)
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name)
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet, etag='"v1"')
    chosen = load_settings()
    defs = build_defs(chosen)
    job = defs.get_repository_def().get_job("ingest_month")
    with DagsterInstance.ephemeral() as instance:
        records = MonthRecords(instance, chosen)
        assert records.missing([GREEN]) == [GREEN]
        result = job.execute_in_process(partition_key=GREEN.key, instance=instance)
        assert result.success
        assert records.missing([GREEN]) == []
        assert records.loaded_version(GREEN) == '"v1"'
    checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert {TABLE_CHECK, *(e.name for e in EXPECTATIONS)} <= set(checks)
    assert set(checks) == {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    assert all(checks.values())
    with chosen.open_store("postgres") as store:
        assert store.totals(GREEN) == LandingZone(tmp_path).find_cleaned(GREEN).totals

    doctor = CliRunner().invoke(app, ["doctor"])
    assert doctor.exit_code == 0, doctor.output
    assert "Postgres" in doctor.stdout
    assert "GCS" not in doctor.stdout
    assert "BigQuery" not in doctor.stdout
    refused = CliRunner().invoke(app, ["query", "--store", "bigquery", "SELECT 1"])
    assert refused.exit_code == 1
    assert "one of postgres (TAXI_STORES)" in refused.stderr
