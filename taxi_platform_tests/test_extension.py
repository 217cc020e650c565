"""A trip type in one file and a store in one room go all the way, with nothing else edited."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pytest
from dagster import (
    AssetIn,
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    asset,
)
from typer.testing import CliRunner

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.alerts.messages import message_of
from taxi_platform.cli.main import app
from taxi_platform.definitions import build_defs
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.stores import registry
from taxi_platform.trips import types
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.stores.duckdb_room import DUCKDB
from taxi_platform_tests.trips.types.shuttle import SHUTTLE

pytestmark = pytest.mark.integration

SECRET = "t0ken-of-duckdb"
STORES = ("bigquery", "duckdb", "postgres")


@pytest.fixture(scope="module")
def month() -> Iterator[TripMonth]:
    with types.registered(SHUTTLE), registry.registered(DUCKDB):
        yield TripMonth.from_key("shuttle|2024-05")


@pytest.fixture(scope="module")
def environment(
    month: TripMonth, stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("extension")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        patch.setenv("TAXI_SOURCE_URL", "synthetic")
        patch.setenv("TAXI_DATA_DIR", str(folder / "data"))
        patch.setenv("TAXI_COLORS", "green,shuttle")
        patch.setenv("TAXI_STORES", "postgres,duckdb,bigquery")
        patch.setenv("TAXI_DUCKDB_PATH", str(folder / "trips.duckdb"))
        patch.setenv("TAXI_DUCKDB_TOKEN", SECRET)
        yield


def run(defs: Definitions, job: str, month: TripMonth) -> ExecuteInProcessResult:
    with DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def(job).execute_in_process(
            partition_key=month.key, instance=instance, raise_on_error=False
        )


@pytest.fixture(scope="module")
def loaded(environment: None, month: TripMonth) -> ExecuteInProcessResult:
    return run(build_defs(load_settings()), "ingest_month", month)


@pytest.fixture(scope="module")
def cleaned(loaded: ExecuteInProcessResult, month: TripMonth) -> TripParquet:
    return LandingZone(load_settings().data_dir).find_cleaned(month)


def test_the_month_is_in_every_store_and_every_check_has_passed(
    loaded: ExecuteInProcessResult, cleaned: TripParquet, month: TripMonth
) -> None:
    assert loaded.success
    assert cleaned.rows > 2_000
    checks = loaded.get_asset_check_evaluations()
    assert all(check.passed for check in checks)
    assert {"duckdb_trips", "postgres_trips", "bigquery_trips"} <= {
        check.asset_key.to_user_string() for check in checks
    }
    for name in STORES:
        with load_settings().open_store(name) as store:
            assert store.totals(month) == cleaned.totals


def test_the_new_store_has_an_asset_a_pool_jobs_and_metadata(
    loaded: ExecuteInProcessResult,
) -> None:
    node = build_defs(load_settings()).resolve_asset_graph().get(AssetKey("duckdb_trips"))
    assert node.pools == {"duckdb"}
    assert node.kinds == {"duckdb"}
    assert node.parent_keys == {AssetKey("cleaned_trips")}
    build_defs(load_settings()).resolve_job_def("web_to_duckdb")
    (stored,) = loaded.asset_materializations_for_node("duckdb_trips")
    assert stored.metadata["dagster/relation_identifier"].value == "shuttle_trips"
    assert "file" in stored.metadata


def test_doctor_examines_it(loaded: ExecuteInProcessResult) -> None:
    said = CliRunner().invoke(app, ["doctor"]).stdout
    assert "DuckDB: shuttle_trips fits the schema" in said
    assert "DuckDB: green_trips will be created by the first load" in said
    assert "Postgres: trips.shuttle_trips fits the schema" in said


@pytest.mark.parametrize("store", STORES)
def test_query_asks_it(loaded: ExecuteInProcessResult, cleaned: TripParquet, store: str) -> None:
    table = "shuttle_trips" if store == "duckdb" else "trips.shuttle_trips"
    statement = f"SELECT COUNT(*) AS trips FROM {table} WHERE data_file_month = DATE '2024-05-01'"
    result = CliRunner().invoke(app, ["query", "--store", store, statement])
    assert result.exit_code == 0, result.output
    assert str(cleaned.rows) in result.stdout


def test_its_secret_is_redacted_and_no_part_of_its_resource(environment: None) -> None:
    chosen = load_settings()
    alert = Alert("failed", "x", f"DuckDB said {SECRET}", f"again: {SECRET}", "", "/")
    assert SECRET not in message_of([alert], None, chosen.secrets()).text
    resources = build_defs(chosen).resources or {}
    assert SECRET not in repr(resources)


def test_a_missing_secret_fails_the_month_by_name(
    loaded: ExecuteInProcessResult, month: TripMonth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAXI_DUCKDB_TOKEN")
    result = run(build_defs(load_settings()), "web_to_duckdb", month)
    (failure,) = (e for e in result.all_events if e.is_step_failure)
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "set TAXI_DUCKDB_TOKEN" in str(said.description)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", [pd.DataFrame, pa.Table])
def test_what_is_derived_from_it_is_written_back_once(
    loaded: ExecuteInProcessResult,
    cleaned: TripParquet,
    month: TripMonth,
    store: str,
    kind: type,
) -> None:
    def riders_by_line(trips: pd.DataFrame | pa.Table) -> pd.DataFrame | pa.Table:
        if isinstance(trips, pa.Table):
            return trips.group_by("line").aggregate([("riders", "sum")])
        return trips.groupby("line", as_index=False).agg(riders_sum=("riders", "sum"))

    riders_by_line.__annotations__["trips"] = kind
    riders_by_line.__annotations__["return"] = kind
    chosen = load_settings()
    mine = asset(
        name=f"riders_as_{kind.__name__.lower()}",
        partitions_def=trip_partitions(chosen),
        ins={"trips": AssetIn(f"{store}_trips", metadata={"columns": ["line", "riders"]})},
        io_manager_key=f"{store}_table",
    )(riders_by_line)
    defs = Definitions.merge(build_defs(chosen), Definitions(assets=[mine]))
    for _ in range(2):
        with DagsterInstance.ephemeral() as instance:
            result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
                asset_selection=[mine.key], partition_key=month.key, instance=instance
            )
            assert result.success
    with chosen.open_store(store) as opened:
        rows = opened.stream_rows(f"shuttle_{mine.key.path[-1]}", month.month).read_all()
        with opened.stream_month(month, ["riders"]) as trips:
            riders = pa.Table.from_batches(trips)["riders"]
    assert sorted(rows["line"].to_pylist()) == ["blue", "red"]
    assert sum(rows["riders_sum"].to_pylist()) == sum(riders.to_pylist())
    assert set(rows["data_file_month"].to_pylist()) == {month.month}
