"""The zones are requested once while they are missing, and then every month; months bring them."""

from datetime import UTC, datetime
from pathlib import Path

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
from taxi_platform.trips.zones import synthetic_zones
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import GREEN
from taxi_platform_tests.sources.publisher import Publisher


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


@pytest.mark.slow
@pytest.mark.integration
def test_a_month_brings_the_zones_and_never_fails_for_them(
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
        "TAXI_POSTGRES_SCHEMA": "with_zones",
    }
    for name, value in (stack.environment | changed).items():
        monkeypatch.setenv(name, value)
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet)
    job = build_defs(load_settings()).resolve_job_def("ingest_month")
    with DagsterInstance.ephemeral() as instance:

        def loaded_and_said() -> tuple[bool, list[str | None]]:
            result = job.execute_in_process(partition_key=GREEN.key, instance=instance)
            assert result.success
            events = result.filter_events(lambda e: e.asset_key == ZONES)
            seen = [
                e.asset_observation_data.asset_observation for e in events if e.is_asset_observation
            ]
            return any(e.is_step_materialization for e in events), [o.description for o in seen]

        loaded, (said,) = loaded_and_said()
        assert not loaded
        assert said is not None
        assert "no zone lookup at http" in said
        for body, status in ((b"", 503), (b"", 400), (b"<html>", 200)):
            publisher.publish("taxi_zone_lookup.csv", body, status=status)
            loaded, (said,) = loaded_and_said()
            assert not loaded
            assert said is not None
            assert said.endswith("taxi_zones stays unchanged")
        publisher.publish("taxi_zone_lookup.csv", synthetic_zones())
        assert loaded_and_said() == (True, [])
        assert loaded_and_said() == (False, [])  # they are fresh
