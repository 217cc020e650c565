"""The assets that docs/architecture.md shows, as a user's files: dg accepts them, each runs."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetMaterialization,
    AssetsDefinition,
    AutomationCondition,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    evaluate_automation_conditions,
)

from taxi_platform.definitions import build_defs
from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import Settings, load_settings
from taxi_platform.stores.answers import first_rows
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack
from taxi_platform_tests.defs.conftest import UsersProject

# Dagster's backfill policies are in beta, and would say so.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::dagster.BetaWarning")]

EXAMPLES = {
    name: text
    for text in re.findall(
        r"```python\n(.*?)```", (PROJECT / "docs/architecture.md").read_text(), re.DOTALL
    )
    for name in re.findall(r"(?m)^def (\w+)", text)
}
GREEN, LATER, YELLOW = map(TripMonth.from_key, ("green|2024-05", "green|2024-06", "yellow|2024-05"))
PLACE = "architecture"
"""The schema, dataset and bucket of these tests."""


@pytest.fixture(scope="module")
def chosen(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    changed = {
        "TAXI_SOURCE_URL": "synthetic",
        "TAXI_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "TAXI_POSTGRES_SCHEMA": PLACE,
        "TAXI_BIGQUERY_DATASET": PLACE,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (stack.environment | changed).items():
            patch.setenv(name, value)
        yield load_settings()


@pytest.fixture(scope="module")
def files(project: UsersProject) -> dict[str, Path]:
    """A file of each example in the user's folder."""
    made = {name: project.defs / f"{name}.py" for name in EXAMPLES}
    for name, path in made.items():
        path.write_text(EXAMPLES[name])
    return made


@pytest.fixture(scope="module")
def examples(chosen: Settings, files: dict[str, Path]) -> dict[str, AssetsDefinition]:
    """The assets in these files."""
    found = {}
    for name, path in files.items():
        spec = importlib.util.spec_from_file_location(f"example_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        found[name] = getattr(module, name)
    return found


@pytest.fixture(scope="module")
def loaded(chosen: Settings) -> None:
    """Three months, and the zones, are in every store."""
    defs = build_defs(chosen)
    with DagsterInstance.ephemeral() as instance:
        for month in (GREEN, LATER, YELLOW):
            job = defs.resolve_job_def("ingest_month")
            assert job.execute_in_process(partition_key=month.key, instance=instance).success
        whole = defs.resolve_implicit_global_asset_job_def()
        zones = defs.resolve_assets_def("taxi_zones").key
        assert whole.execute_in_process(asset_selection=[zones], instance=instance).success


def materialized(chosen: Settings, example: AssetsDefinition, **run: Any) -> ExecuteInProcessResult:
    defs = Definitions.merge(build_defs(chosen), Definitions(assets=[example]))
    with DagsterInstance.ephemeral() as instance:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[example.key], instance=instance, **run
        )


def rows_of(chosen: Settings, month: TripMonth) -> int:
    return LandingZone(chosen.data_dir).find_cleaned(month).rows


def test_dg_accepts_every_file(project: UsersProject, files: dict[str, Path]) -> None:
    run = project.dg("check", "defs")
    assert run.returncode == 0, run.stdout + run.stderr
    listed = project.dg("list", "defs", "--json").stdout
    assert all(f'"{name}"' in listed for name in files)


def test_a_month_of_a_color_as_pandas_with_the_zones(
    loaded: None, chosen: Settings, examples: dict[str, AssetsDefinition]
) -> None:
    example = examples["tips_by_borough"]
    assert materialized(chosen, example, partition_key=GREEN.key).success
    with chosen.open_store("postgres") as store:
        rows = store.stream_rows("green_tips_by_borough", GREEN.month).read_all().to_pylist()
        (total,) = first_rows(store, f"SELECT sum(tip_amount) FROM {PLACE}.green_trips", 1).rows[0]
    assert {row["data_file_month"] for row in rows} == {GREEN.month}
    assert len({row["borough"] for row in rows}) == len(rows) > 1
    assert 0 < sum(row["tip_amount"] for row in rows) <= total


def test_a_month_of_every_color_as_arrow_batches(
    loaded: None, chosen: Settings, examples: dict[str, AssetsDefinition]
) -> None:
    assert materialized(chosen, examples["miles_by_day"], partition_key="2024-05").success
    with chosen.open_store("bigquery") as store:
        rows = store.stream_rows("miles_by_day", GREEN.month).read_all().to_pylist()
    assert len([row for row in rows if row["day"].replace(day=1) == GREEN.month]) == 31
    assert all(row["miles"] > 0 for row in rows if row["day"].replace(day=1) == GREEN.month)


def test_several_months_in_one_run(
    loaded: None, chosen: Settings, examples: dict[str, AssetsDefinition]
) -> None:
    tags = {
        "dagster/asset_partition_range_start": GREEN.key,
        "dagster/asset_partition_range_end": LATER.key,
    }
    result = materialized(chosen, examples["takings"], tags=tags)
    assert result.success
    events = result.asset_materializations_for_node("takings")
    assert {event.partition for event in events} == {GREEN.key, LATER.key}
    trips = rows_of(chosen, GREEN) + rows_of(chosen, LATER)
    assert {event.metadata["trips"].value for event in events} == {trips}


@pytest.mark.parametrize("eager", [False, True])
def test_the_condition_that_is_shown_follows_an_older_month_which_eager_alone_does_not(
    chosen: Settings, examples: dict[str, AssetsDefinition], eager: bool
) -> None:
    example = examples["tips_by_borough"]
    if eager:
        example = example.map_asset_specs(
            lambda spec: spec.replace_attributes(automation_condition=AutomationCondition.eager())
        )
    defs = Definitions.merge(build_defs(chosen), Definitions(assets=[example]))
    with DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(AssetMaterialization("taxi_zones"))
        before = evaluate_automation_conditions(defs, instance)
        assert before.total_requested == 0
        event = AssetMaterialization("postgres_trips", partition=GREEN.key)
        instance.report_runless_asset_event(event)
        after = evaluate_automation_conditions(defs, instance, cursor=before.cursor)
    assert after.get_requested_partitions(example.key) == (set() if eager else {GREEN.key})
