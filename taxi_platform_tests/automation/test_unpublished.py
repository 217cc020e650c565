"""A month that is not published yet: automation skips it and says why, a person's run fails."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import (
    DagsterInstance,
    SensorResult,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
)

from taxi_platform.assets.keys import RAW
from taxi_platform.automation.months import newest_months
from taxi_platform.automation.published_months import published_months
from taxi_platform.automation.schedule import monthly
from taxi_platform.definitions import build_defs
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.settings import Settings, load_settings
from taxi_platform_tests.sources.publisher import Publisher


@pytest.fixture
def chosen(
    monkeypatch: pytest.MonkeyPatch, publisher: Publisher, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings with a source that has published nothing."""
    monkeypatch.setenv("TAXI_SOURCE_URL", publisher.template)
    monkeypatch.setenv("TAXI_COLORS", "green")
    monkeypatch.setenv("TAXI_STORES", "postgres")
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    return load_settings()


def test_the_sensor_and_the_schedule_request_nothing_and_say_why(
    chosen: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    resources = {"source": TripSourceResource(url=publisher.template, request_seconds=5)}
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        with build_sensor_context(instance=instance, resources=resources) as context:
            sensed = published_months(chosen)(context)
        now = datetime.now(UTC)
        with build_schedule_context(
            instance=instance, resources=resources, scheduled_execution_time=now
        ) as context:
            scheduled = monthly(chosen)(context)
        assert instance.get_runs_count() == 0
    assert isinstance(sensed, SensorResult)
    assert not sensed.run_requests
    assert "0 of the 6 newest months are published: nothing to request" in str(sensed.skip_reason)
    assert isinstance(scheduled, SkipReason)
    said = scheduled.skip_message
    assert said == "6 months missing, 0 queued or running; none of them is published"


def test_the_run_of_a_person_fails_and_says_so(chosen: Settings) -> None:
    month = newest_months(chosen)[0]
    job = build_defs(chosen).resolve_implicit_global_asset_job_def()
    with DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(
            instance=instance,
            partition_key=month.key,
            asset_selection=[RAW],
            raise_on_error=False,
        )
    assert not run.success
    data = run.failure_data_for_node("raw_trips")
    assert data is not None
    assert data.user_failure_data is not None
    assert f"{month}: not published: " in (data.user_failure_data.description or "")
    assert sum(event.is_step_up_for_retry for event in run.all_events) == 0
