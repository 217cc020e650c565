"""The zones are requested once while they are missing, and then every month."""

from datetime import UTC, datetime

import pytest
from dagster import (
    AssetMaterialization,
    AutomationConditionSensorDefinition,
    DagsterInstance,
    DefaultSensorStatus,
    evaluate_automation_conditions,
)

from taxi_platform.assets.keys import ZONES
from taxi_platform.definitions import build_defs
from taxi_platform.settings import load_settings


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # that of Dagster's own function
@pytest.mark.parametrize("loaded", [False, True])
def test_the_zones_are_requested_once_and_then_every_month(*, loaded: bool) -> None:
    defs = build_defs(load_settings())
    requested = []
    with DagsterInstance.ephemeral() as instance:
        if loaded:
            instance.report_runless_asset_event(AssetMaterialization(ZONES))
        cursor = None
        # 06:00 in New York is 10:00 UTC in summer.
        for when in (
            "2026-05-20 12:00",
            "2026-05-20 12:01",
            "2026-06-01 09:59",
            "2026-06-01 10:01",
        ):
            found = evaluate_automation_conditions(
                defs,
                instance,
                cursor=cursor,
                evaluation_time=datetime.fromisoformat(when).replace(tzinfo=UTC),
            )
            cursor = found.cursor
            requested.append(found.total_requested)
    assert requested == [0 if loaded else 1, 0, 0, 1]


@pytest.mark.parametrize("automation", [False, True])
def test_the_sensor_runs_by_default_where_automation_is_on(*, automation: bool) -> None:
    chosen = load_settings().model_copy(update={"automation": automation})
    sensors = build_defs(chosen).get_repository_def().sensor_defs
    (sensor,) = (s for s in sensors if isinstance(s, AutomationConditionSensorDefinition))
    assert (sensor.default_status is DefaultSensorStatus.RUNNING) == automation
