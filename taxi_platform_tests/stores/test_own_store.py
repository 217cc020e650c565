"""A store that is defined in one room, and nothing else: all that is made of stores has it."""

from pathlib import Path

import pandas as pd
import pytest
from dagster import AssetKey, DagsterInstance, Definitions, asset, materialize
from typer.testing import CliRunner

from taxi_platform.assets.trips import trip_assets
from taxi_platform.automation.alerts.incidents import Alert
from taxi_platform.automation.alerts.messages import message_of
from taxi_platform.checks.reconciliation import TABLE_CHECK, trip_checks
from taxi_platform.cli.main import app
from taxi_platform.definitions import build_defs, build_resources
from taxi_platform.landing.zone import LandingZone
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.stores import registry
from taxi_platform_tests.months import GREEN
from taxi_platform_tests.sources.publisher import Publisher
from taxi_platform_tests.stores import duck

SECRET = "token-of-the-duck"


@pytest.fixture(autouse=True)
def environment(
    publisher: Publisher, green_parquet: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._stores, "duck", duck.STORE)
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet)
    for name, value in {
        "TAXI_STORES": "duck",
        "TAXI_DUCK_PATH": str(tmp_path / "taxi.duckdb"),
        "TAXI_DUCK_TOKEN": SECRET,
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TAXI_SOURCE_URL": publisher.template,
    }.items():
        monkeypatch.setenv(name, value)


def test_a_month_flows_into_it_through_assets_and_checks_and_out_again(tmp_path: Path) -> None:
    chosen = load_settings()
    defs = build_defs(chosen)
    Definitions.validate_loadable(defs)
    node = defs.resolve_asset_graph().get(AssetKey("duck_trips"))
    assert (node.group_name, node.kinds) == ("warehouse", {"duckdb"})
    assert node.pools == {"duck"}
    assert "web_to_duck" in defs.get_repository_def().job_names
    seen: list[pd.DataFrame] = []

    @asset(partitions_def=trip_partitions(chosen), io_manager_key="duck_table")
    def tips(duck_trips: pd.DataFrame) -> pd.DataFrame:
        seen.append(duck_trips)
        return duck_trips.groupby("payment_type", as_index=False, dropna=False)[
            ["tip_amount"]
        ].sum()

    for _ in range(2):
        with DagsterInstance.ephemeral() as instance:
            result = materialize(
                [*trip_assets(chosen), *trip_checks(chosen), tips],
                partition_key=GREEN.key,
                resources=build_resources(chosen),
                instance=instance,
            )
            events = "".join(str(event) for event in instance.all_logs(result.run_id))
    evaluated = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert evaluated[TABLE_CHECK]
    assert all(evaluated.values())
    assert SECRET not in events
    cleaned = LandingZone(tmp_path / "data").find_cleaned(GREEN)
    assert len(seen[1]) == cleaned.rows
    with chosen.open_store("duck") as store:
        assert store.totals(GREEN) == cleaned.totals
        answer = store.query("SELECT SUM(tip_amount) FROM green_tips", 1)
    assert round(answer.rows[0][0] * 100) == cleaned.totals.cents["tip_amount"]


def test_doctor_query_and_redaction_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    asked = run(app, ["query", "--store", "duck", "SELECT 41 + 1 AS answer"])
    assert asked.exit_code == 0, asked.output
    assert "42" in asked.stdout
    found = run(app, ["doctor"]).stdout
    assert "DuckDB: green_trips will be made by the first load" in found
    assert SECRET not in found
    monkeypatch.setenv("TAXI_DUCK_TOKEN", "wrong")
    assert "the token is wrong" in run(app, ["doctor"]).stdout

    monkeypatch.setenv("TAXI_DUCK_TOKEN", SECRET)
    alert = Alert("failed", GREEN.key, f"{GREEN.key}: failed", f"no {SECRET}", "", "/runs/1")
    assert SECRET not in message_of([alert], None, load_settings().secrets()).text


def test_its_secrets_are_in_no_resource() -> None:
    resource = build_resources(load_settings())["duck"]
    assert SECRET not in repr(resource) + str(resource)
