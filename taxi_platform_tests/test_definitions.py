import json

import pytest
from dagster import AssetKey, Definitions
from dagster_gcp import BigQueryResource, GCSResource

from taxi_platform.checks.cleaned import NEIGHBOURS_CHECK, REPLACEMENT_CHECK
from taxi_platform.checks.marts import SAME_CHECK, SUMS_CHECK
from taxi_platform.checks.reconciliation import OBJECT_CHECK, TABLE_CHECK
from taxi_platform.definitions import build_defs, build_resources
from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.expectations import EXPECTATIONS, Severity
from taxi_platform.marts.definitions import MARTS
from taxi_platform.partitions import trip_partitions
from taxi_platform.resources.gcs import TripGCSResource
from taxi_platform.settings import load_settings
from taxi_platform.stores.registry import STORES
from taxi_platform.trips.month import TripMonth

GROUPS = {
    "raw_trips": "landing",
    "cleaned_trips": "landing",
    "gcs_trips": "lake",
    "bigquery_trips": "warehouse",
    "postgres_trips": "warehouse",
    **{f"{store}_{mart}": "marts" for store in STORES for mart in MARTS},
}


@pytest.fixture(scope="module")
def defs() -> Definitions:
    return build_defs(load_settings())


def test_the_code_location_is_whole(defs: Definitions) -> None:
    Definitions.validate_loadable(defs)


def test_the_assets_depend_as_the_design_says(defs: Definitions) -> None:
    graph = defs.resolve_asset_graph()
    parents = {
        key.to_user_string(): sorted(p.to_user_string() for p in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "raw_trips": [],
        "cleaned_trips": ["raw_trips"],
        "gcs_trips": ["cleaned_trips"],
        "bigquery_trips": ["gcs_trips"],
        "postgres_trips": ["cleaned_trips"],
        "taxi_zones": [],
        "loaded_months": ["bigquery_trips", "postgres_trips"],
        "trips_report": sorted(f"postgres_{mart}" for mart in MARTS),
        **{f"{store}_{mart}": [f"{store}_trips"] for store in STORES for mart in MARTS},
    }


@pytest.mark.parametrize("name", GROUPS)
def test_every_asset_is_described_grouped_owned_and_of_a_kind(defs: Definitions, name: str) -> None:
    node = defs.resolve_asset_graph().get(AssetKey(name))
    assert node.description
    assert node.group_name == GROUPS[name]
    assert node.owners == ["team:data-platform"]
    assert node.kinds
    assert node.partitions_def == trip_partitions()


def test_the_checks_hold_a_bad_month_back_from_what_follows(defs: Definitions) -> None:
    graph = defs.resolve_asset_graph()
    checks = {key.name: graph.get_check_spec(key) for key in graph.asset_check_keys}
    expectations = {expectation.name for expectation in EXPECTATIONS}
    others = {
        OBJECT_CHECK,
        TABLE_CHECK,
        REPLACEMENT_CHECK,
        NEIGHBOURS_CHECK,
        SUMS_CHECK,
        SAME_CHECK,
    }
    assert set(checks) == expectations | others
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked == GROUPS.keys() - {"raw_trips"}
    assert all(spec.partitions_def for spec in checks.values())
    warnings = {e.name for e in EXPECTATIONS if e.severity is Severity.WARNING} | {NEIGHBOURS_CHECK}
    assert {name for name, spec in checks.items() if not spec.blocking} == warnings


def test_partition_keys_are_color_and_month() -> None:
    keys = trip_partitions().get_partition_keys()
    assert {"green|2019-01", "yellow|2024-01"} <= set(keys)
    assert all(TripMonth.from_key(key).key == key for key in keys)


def test_resources_are_dagster_gcps_own() -> None:
    resources = build_resources(load_settings())
    assert isinstance(resources["gcs"], GCSResource)
    assert isinstance(resources["bigquery"], BigQueryResource)


def test_the_password_is_no_part_of_the_resources_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_PASSWORD", "hunter2")
    postgres = build_resources(load_settings())["postgres"]
    assert "hunter2" not in json.dumps(repr(postgres)) + str(postgres)


def test_without_the_stack_no_client_turns_to_the_real_cloud(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAXI_ENV", "local")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    gcs = build_resources(load_settings())["gcs"]
    assert isinstance(gcs, TripGCSResource)
    with pytest.raises(PermanentStoreError, match="taxi-platform local up"):
        gcs.get_trips()
