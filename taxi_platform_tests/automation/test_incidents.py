"""Which alerts are pending, from the records of a real instance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import (
    AssetMaterialization,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
)
from dagster._core.events import DagsterEvent
from dagster._core.test_utils import create_run_for_test

from taxi_platform.assets.keys import trip_keys
from taxi_platform.automation.alerts import incidents
from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.alerts.incidents import (
    RETRY_SECONDS,
    AlertCursor,
    from_now_on,
    pending_alerts,
)
from taxi_platform.automation.months import MonthRecords, newest_months
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth

MONTH = TripMonth.from_key("green|2024-01")
NEVER = 100_000


def records_of(instance: DagsterInstance, lookback_months: int, overdue_days: int) -> MonthRecords:
    changed = {"lookback_months": lookback_months, "overdue_days": overdue_days}
    return MonthRecords(instance, load_settings().model_copy(update=changed))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def ended(
    instance: DagsterInstance, kind: DagsterEventType, said: str = "", **tags: str
) -> DagsterRun:
    """A run of the month that ended with this event."""
    own = {"dagster/partition": MONTH.key} | tags
    run = create_run_for_test(
        instance, job_name="ingest_month", status=DagsterRunStatus.STARTED, tags=own
    )
    event = DagsterEvent(event_type_value=kind.value, job_name="ingest_month", message=said)
    instance.report_dagster_event(event, run.run_id)
    return run


def evaluate(
    instance: DagsterInstance, cursor: AlertCursor, seconds: float = 60
) -> tuple[list[Alert], AlertCursor]:
    """An evaluation so many seconds from now."""
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    return pending_alerts(records_of(instance, 6, NEVER), cursor, now)


def test_what_ended_before_the_first_evaluation_is_not_reported(instance: DagsterInstance) -> None:
    ended(instance, DagsterEventType.RUN_FAILURE)
    alerts, _ = evaluate(instance, from_now_on(instance))
    assert alerts == []


def test_a_failure_is_reported_once_and_so_is_its_recovery(instance: DagsterInstance) -> None:
    cursor = from_now_on(instance)
    run = ended(instance, DagsterEventType.RUN_FAILURE, "it died")
    alerts, later = evaluate(instance, cursor)
    assert [(a.kind, a.subject, a.detail, a.path) for a in alerts] == [
        ("failed", MONTH.key, "it died", f"/runs/{run.run_id}")
    ]
    assert "--color green --from 2024-01 --to 2024-01" in alerts[0].remedy
    # From the earlier cursor, as if the channel had not accepted them: the same alerts again.
    assert evaluate(instance, AlertCursor.from_json(cursor.to_json()))[0] == alerts
    later = AlertCursor.from_json(later.to_json())
    assert evaluate(instance, later)[0] == []
    ended(instance, DagsterEventType.RUN_FAILURE, "it died")
    again, later = evaluate(instance, later)
    assert again == []  # nothing new
    ended(instance, DagsterEventType.RUN_FAILURE, "it died otherwise")
    otherwise, later = evaluate(instance, later)
    assert [a.detail for a in otherwise] == ["it died otherwise"]
    ended(instance, DagsterEventType.RUN_SUCCESS)
    recovered, later = evaluate(instance, later)
    assert [a.kind for a in recovered] == ["recovered"]
    ended(instance, DagsterEventType.RUN_SUCCESS)
    assert evaluate(instance, later)[0] == []


def test_of_a_run_that_dagster_retries_the_last_is_reported(instance: DagsterInstance) -> None:
    cursor = from_now_on(instance)
    first = ended(instance, DagsterEventType.RUN_FAILURE, "1", **{"dagster/will_retry": "true"})
    alerts, cursor = evaluate(instance, cursor)
    assert alerts == []
    second = ended(instance, DagsterEventType.RUN_FAILURE, "2")
    instance.add_run_tags(first.run_id, {"dagster/auto_retry_run_id": second.run_id})
    alerts, cursor = evaluate(instance, cursor)
    assert [a.detail for a in alerts] == ["2"]
    # Dagster announced a retry and made none: in a backfill that has ended, for example.
    ended(instance, DagsterEventType.RUN_FAILURE, "3", **{"dagster/will_retry": "true"})
    assert evaluate(instance, cursor)[0] == []
    assert [a.detail for a in evaluate(instance, cursor, RETRY_SECONDS + 60)[0]] == ["3"]


def test_many_events_are_read_in_batches_and_none_is_left_out(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "MOST_EVENTS", 3)
    cursor = from_now_on(instance)
    for number in range(8):
        ended(instance, DagsterEventType.RUN_FAILURE, str(number))
    ended(instance, DagsterEventType.RUN_SUCCESS)
    found = []
    for _ in range(4):
        alerts, cursor = evaluate(instance, cursor)
        found += alerts
    assert [alert.detail for alert in found[:-1]] == [str(number) for number in range(8)]
    assert found[-1].kind == "recovered"


def test_an_event_just_written_waits_for_earlier_ones(instance: DagsterInstance) -> None:
    cursor = from_now_on(instance)
    ended(instance, DagsterEventType.RUN_FAILURE)
    alerts, cursor = evaluate(instance, cursor, seconds=0)
    assert alerts == []
    assert len(evaluate(instance, cursor)[0]) == 1


def test_months_are_overdue_one_by_one(instance: DagsterInstance) -> None:
    two = records_of(instance, 2, NEVER).chosen
    newest, before = newest_months(two)[0], newest_months(two)[2]
    assert newest.color == before.color
    now = datetime.combine(before.following, datetime.min.time(), UTC) + timedelta(days=75)
    others = [m for m in newest_months(two, now) if m not in (before, newest)]
    for month in others:
        for key in trip_keys(two):
            instance.report_runless_asset_event(AssetMaterialization(key, partition=month.key))

    def late(cursor: AlertCursor, days: int) -> tuple[list[Alert], AlertCursor]:
        return pending_alerts(records_of(instance, 12, 75), cursor, now + timedelta(days=days))

    alerts, _ = late(AlertCursor(after=0), -1)
    assert before.key not in {a.subject for a in alerts}
    alerts, cursor = late(AlertCursor(after=0), 0)
    assert before.key in {a.subject for a in alerts if a.kind == "overdue"}
    assert newest.key not in {a.subject for a in alerts}
    assert late(AlertCursor.from_json(cursor.to_json()), 1)[0] == []
    # That the newest is loaded says nothing about the one before.
    for key in trip_keys(two):
        instance.report_runless_asset_event(AssetMaterialization(key, partition=newest.key))
    assert late(cursor, 1)[0] == []
    for key in trip_keys(two):
        instance.report_runless_asset_event(AssetMaterialization(key, partition=before.key))
    alerts, cursor = late(cursor, 1)
    assert [(a.kind, a.subject) for a in alerts] == [("recovered", before.key)]
    assert late(cursor, 2)[0] == []
