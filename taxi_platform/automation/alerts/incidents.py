"""The pending alerts: derived from Dagster's own records, each reported once.

The cursor of Dagster's run-failure sensors advances even if sending an alert failed, so an alert
would be lost while a webhook is down. Here the cursor is a value, `AlertCursor`. The caller stores
it only after the channel has accepted the alerts.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    EventLogRecord,
    RunStatusChangeRecordsFilter,
)
from pydantic import TypeAdapter

from taxi_platform.automation.alerts.alert import Alert, page_of
from taxi_platform.automation.alerts.messages import MOST_CHARACTERS
from taxi_platform.automation.alerts.ticks import TickReports, tick_alerts
from taxi_platform.automation.failures import (
    failure_of,
    remedy,
    subject_of,
    was_retried,
    will_be_retried,
)
from taxi_platform.automation.months import MonthRecords, is_due, newest_months
from taxi_platform.io_managers.failures import next_step

MOST_EVENTS = 200
"""How many ends of runs one evaluation reads; the next continues from there."""

SETTLED_SECONDS = 3.0
"""Events younger than this wait for the next evaluation. Postgres may show a later event before an
earlier one, and Dagster decides a moment after a run's end whether it retries it."""

RETRY_SECONDS = 300.0
"""How long to wait for a retry that Dagster has announced. It starts within seconds or not at all:
not in a backfill that has ended, for example."""

MOST_OPEN = 500
"""How many failures the cursor remembers until they are resolved."""


@dataclass(frozen=True)
class AlertCursor:
    """What has been reported; a sensor's cursor.

    Attributes:
        after: storage id of the last event that was evaluated.
        failed: by subject, the failed steps and a checksum of their message; until they
            succeed.
        overdue: partition keys of months that were reported as overdue; until they are loaded.
        ticks: what was reported about ticks.
    """

    after: int
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    overdue: tuple[str, ...] = ()
    ticks: TickReports = field(default_factory=TickReports)

    @classmethod
    def from_json(cls, text: str) -> "AlertCursor":
        """Reads what ``to_json`` wrote, in this version or another.

        Raises:
            ValueError: it is something else.
        """
        return _CURSOR.validate_python(json.loads(text))

    def to_json(self) -> str:
        """The text that Dagster keeps as the cursor."""
        return json.dumps(asdict(self))


_CURSOR = TypeAdapter(AlertCursor)


def from_now_on(instance: DagsterInstance) -> AlertCursor:
    """A cursor with nothing reported, which skips all runs that ended before now."""
    newest = (
        next(iter(instance.fetch_run_status_changes(kind, limit=1).records), None)
        for kind in (DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS)
    )
    return AlertCursor(after=max((record.storage_id for record in newest if record), default=0))


def pending_alerts(
    records: MonthRecords,
    cursor: AlertCursor,
    now: datetime | None = None,
    own: str = "",
) -> tuple[list[Alert], AlertCursor]:
    """The alerts to send now, and the cursor to store once they are sent.

    Args:
        records: the records of months and runs, and the settings: how many of the newest months
            are expected, and after how many days they are overdue.
        cursor: what has been reported so far.
        now: by default the current time.
        own: the sensor that asks.
    """
    now = now or datetime.now(UTC)
    failed = dict(cursor.failed)
    alerts, after = _of_runs(records.instance, cursor.after, failed, now)
    red, ticks = tick_alerts(records.instance, cursor.ticks, own, now)
    late, overdue = _overdue(records, cursor, now)
    newest_failed = dict(list(failed.items())[-MOST_OPEN:])
    return [*alerts, *red, *late], AlertCursor(after, newest_failed, overdue, ticks)


def _of_runs(
    instance: DagsterInstance, after: int, failed: dict[str, dict[str, Any]], now: datetime
) -> tuple[list[Alert], int]:
    """The alerts of runs that ended since an event, and the last event that was evaluated.

    Changes ``failed`` accordingly.
    """
    alerts: list[Alert] = []
    for record in _ends_of_runs(instance, after, now.timestamp() - SETTLED_SECONDS):
        run = instance.get_run_by_id(record.run_id)
        if run is None:
            after = record.storage_id
            continue
        if will_be_retried(run) and record.timestamp > now.timestamp() - RETRY_SECONDS:
            break  # Dagster may retry it: its outcome is not known yet
        after = record.storage_id
        if record.event_type is DagsterEventType.RUN_FAILURE:
            alerts += _failure(instance, run, failed)
        else:
            alerts += _recovery(instance, run, failed)
    return alerts, after


def _ends_of_runs(instance: DagsterInstance, after: int, until: float) -> Iterator[EventLogRecord]:
    """Failures and successes since an event and up to a time, oldest first."""
    found: list[EventLogRecord] = []
    horizon = None
    for kind in (DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS):
        chosen = RunStatusChangeRecordsFilter(kind, after_storage_id=after)
        records = instance.fetch_run_status_changes(
            chosen, limit=MOST_EVENTS, ascending=True
        ).records
        found += records
        if len(records) == MOST_EVENTS:
            last = records[-1].storage_id
            horizon = last if horizon is None else min(horizon, last)
    for record in sorted(found, key=lambda r: r.storage_id):
        if horizon is not None and record.storage_id > horizon:
            return
        if record.timestamp > until:
            return
        yield record


def _failure(
    instance: DagsterInstance, run: DagsterRun, failed: dict[str, dict[str, Any]]
) -> list[Alert]:
    if was_retried(run):
        return []  # the last of its retries is reported
    subject = subject_of(run)
    failure = failure_of(instance, run)
    said = {
        "steps": list(failure.steps),
        "said": f"{crc32(failure.message.encode(errors='backslashreplace')):08x}",
    }
    if failed.get(subject) == said:
        return []  # reported already: a person or a sensor tried again, with the same result
    failed.pop(subject, None)
    failed[subject] = said
    return [
        Alert(
            kind="check failed" if failure.checks else "failed",
            subject=subject,
            headline=failure.headline(subject),
            detail=failure.message,
            remedy=remedy(subject, failure.message[:MOST_CHARACTERS]),
            path=f"/runs/{run.run_id}",
        )
    ]


def _recovery(
    instance: DagsterInstance, run: DagsterRun, failed: dict[str, dict[str, Any]]
) -> list[Alert]:
    subject = subject_of(run)
    said = failed.get(subject)
    if said is None:
        return []
    events = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_SUCCESS)
    done = {entry.step_key for entry in events}
    if not done.issuperset(said["steps"]):
        return []  # other steps of the month: those that failed have not succeeded since
    del failed[subject]
    what = " and ".join(said["steps"]) or "the run"
    return [
        Alert(
            kind="recovered",
            subject=subject,
            headline=f"{subject}: {what} succeeded; it had failed before",
            detail="",
            remedy="",
            path=f"/runs/{run.run_id}",
        )
    ]


def _overdue(
    records: MonthRecords, cursor: AlertCursor, now: datetime
) -> tuple[list[Alert], tuple[str, ...]]:
    """Overdue months, one by one: loading an old month must not hide one that is late."""
    expected = newest_months(records.chosen, now)
    missing = set(records.missing(expected))
    late = [month for month in expected if month in missing and is_due(records.chosen, month, now)]
    new = [
        Alert(
            kind="overdue",
            subject=month.key,
            headline=f"{month.key}: not loaded {(now.date() - month.following).days} days after "
            "its end",
            detail="The TLC publishes about two months late.",
            remedy=f"Check whether it is published; if so: {next_step(month)}",
            path=page_of(month),
        )
        for month in late
        if month.key not in cursor.overdue
    ]
    arrived = [
        Alert(
            kind="recovered",
            subject=month.key,
            headline=f"{month.key}: was overdue, and is loaded now",
            detail="",
            remedy="",
            path=page_of(month),
        )
        for month in expected
        if month.key in cursor.overdue and month not in missing
    ]
    return [*new, *arrived], tuple(month.key for month in late)
