"""What there is to tell, and what not, from records of a real instance."""

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
from taxi_platform.automation.alerts.incidents import (
    RETRY_SECONDS,
    Alert,
    Told,
    from_now_on,
    gather,
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
    """A run of the month that ended so."""
    own = {"dagster/partition": MONTH.key} | tags
    run = create_run_for_test(
        instance, job_name="ingest_month", status=DagsterRunStatus.STARTED, tags=own
    )
    event = DagsterEvent(event_type_value=kind.value, job_name="ingest_month", message=said)
    instance.report_dagster_event(event, run.run_id)
    return run


def look(instance: DagsterInstance, told: Told, seconds: float = 60) -> tuple[list[Alert], Told]:
    """A look so many seconds from now."""
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    return gather(records_of(instance, 6, NEVER), told, now)


def test_what_ended_before_the_first_look_is_not_told(instance: DagsterInstance) -> None:
    ended(instance, DagsterEventType.RUN_FAILURE)
    alerts, _ = look(instance, from_now_on(instance))
    assert alerts == []


def test_a_failure_is_told_once_and_so_is_its_recovery(instance: DagsterInstance) -> None:
    told = from_now_on(instance)
    run = ended(instance, DagsterEventType.RUN_FAILURE, "it died")
    alerts, then = look(instance, told)
    assert [(a.kind, a.subject, a.detail, a.path) for a in alerts] == [
        ("failed", MONTH.key, "it died", f"/runs/{run.run_id}")
    ]
    assert "--color green --from 2024-01 --to 2024-01" in alerts[0].remedy
    # The same again from the cursor before, as when the channel did not take it.
    assert look(instance, Told.from_cursor(told.cursor()))[0] == alerts
    then = Told.from_cursor(then.cursor())
    assert look(instance, then)[0] == []
    ended(instance, DagsterEventType.RUN_FAILURE, "it died")
    again, then = look(instance, then)
    assert again == []  # nothing new
    ended(instance, DagsterEventType.RUN_FAILURE, "it died otherwise")
    otherwise, then = look(instance, then)
    assert [a.detail for a in otherwise] == ["it died otherwise"]
    ended(instance, DagsterEventType.RUN_SUCCESS)
    recovered, then = look(instance, then)
    assert [a.kind for a in recovered] == ["recovered"]
    ended(instance, DagsterEventType.RUN_SUCCESS)
    assert look(instance, then)[0] == []


def test_of_a_run_that_dagster_runs_again_the_last_is_told(instance: DagsterInstance) -> None:
    told = from_now_on(instance)
    first = ended(instance, DagsterEventType.RUN_FAILURE, "1", **{"dagster/will_retry": "true"})
    alerts, told = look(instance, told)
    assert alerts == []
    second = ended(instance, DagsterEventType.RUN_FAILURE, "2")
    instance.add_run_tags(first.run_id, {"dagster/auto_retry_run_id": second.run_id})
    alerts, told = look(instance, told)
    assert [a.detail for a in alerts] == ["2"]
    # Dagster said so and did not: in a backfill that has ended, for one.
    ended(instance, DagsterEventType.RUN_FAILURE, "3", **{"dagster/will_retry": "true"})
    assert look(instance, told)[0] == []
    assert [a.detail for a in look(instance, told, RETRY_SECONDS + 60)[0]] == ["3"]


def test_a_flood_is_taken_in_portions_and_nothing_is_left_out(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "MOST_EVENTS", 3)
    told = from_now_on(instance)
    for number in range(8):
        ended(instance, DagsterEventType.RUN_FAILURE, str(number))
    ended(instance, DagsterEventType.RUN_SUCCESS)
    found = []
    for _ in range(4):
        alerts, told = look(instance, told)
        found += alerts
    assert [alert.detail for alert in found[:-1]] == [str(number) for number in range(8)]
    assert found[-1].kind == "recovered"


def test_an_event_that_is_just_written_waits_for_its_elders(instance: DagsterInstance) -> None:
    told = from_now_on(instance)
    ended(instance, DagsterEventType.RUN_FAILURE)
    alerts, told = look(instance, told, seconds=0)
    assert alerts == []
    assert len(look(instance, told)[0]) == 1


def test_lateness_is_judged_month_by_month(instance: DagsterInstance) -> None:
    two = records_of(instance, 2, NEVER).chosen
    newest, before = newest_months(two)[0], newest_months(two)[2]
    assert newest.color == before.color
    now = datetime.combine(before.following, datetime.min.time(), UTC) + timedelta(days=75)
    others = [m for m in newest_months(two, now) if m not in (before, newest)]
    for month in others:
        for key in trip_keys(two):
            instance.report_runless_asset_event(AssetMaterialization(key, partition=month.key))

    def late(told: Told, days: int) -> tuple[list[Alert], Told]:
        return gather(records_of(instance, 12, 75), told, now + timedelta(days=days))

    alerts, _ = late(Told(after=0), -1)
    assert before.key not in {a.subject for a in alerts}
    alerts, told = late(Told(after=0), 0)
    assert before.key in {a.subject for a in alerts if a.kind == "overdue"}
    assert newest.key not in {a.subject for a in alerts}
    assert late(Told.from_cursor(told.cursor()), 1)[0] == []
    # The newest is loaded, which says nothing of the one before.
    for key in trip_keys(two):
        instance.report_runless_asset_event(AssetMaterialization(key, partition=newest.key))
    assert late(told, 1)[0] == []
    for key in trip_keys(two):
        instance.report_runless_asset_event(AssetMaterialization(key, partition=before.key))
    alerts, told = late(told, 1)
    assert [(a.kind, a.subject) for a in alerts] == [("recovered", before.key)]
    assert late(told, 2)[0] == []
