"""What there is to tell: gathered from Dagster's own records, each thing once.

Dagster's run-failure sensors move on even if the telling failed, so an alert would be lost with a
webhook that is down. Here what was told is a value, `AlertCursor`, that the caller keeps only once its
channel has taken the alerts.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from urllib.parse import quote
from zlib import crc32

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    EventLogRecord,
    RunStatusChangeRecordsFilter,
)

from taxi_platform.automation.failures import failure_of, was_retried, will_be_retried
from taxi_platform.automation.months import PARTITION_TAG, MonthRecords, newest_months
from taxi_platform.trips.month import TripMonth

MOST_EVENTS = 200
"""Ends of runs that one look takes in; the next goes on from there."""

SETTLED_SECONDS = 3.0
"""Younger events wait for the next look: Postgres may show a later one before an earlier one, and
Dagster decides a moment after a run's end whether it runs it again."""

RETRY_SECONDS = 300.0
"""How long it is waited for Dagster to run a run again that it said it would. It does so within
seconds, or never: not in a backfill that has ended, for one."""

MOST_OPEN = 500
"""Failures that are remembered until they come right."""


@dataclass(frozen=True)
class Alert:
    """One thing to tell.

    Attributes:
        kind: what sort of thing.
        subject: the partition; of a run without one, its assets or its job.
        headline: what and where, in a line.
        detail: what was said of it; may be empty.
        remedy: what to do; may be empty.
        path: the page of Dagster's UI that shows it, such as ``/runs/…``.
    """

    kind: Literal["failed", "check failed", "overdue", "recovered"]
    subject: str
    headline: str
    detail: str
    remedy: str
    path: str


@dataclass(frozen=True)
class AlertCursor:
    """What was told already; a sensor's cursor.

    Attributes:
        after: storage id of the last event that was looked at.
        failed: by subject, the failed steps and a checksum of what was said of them; until it
            comes right.
        overdue: partition keys of months that were told to be overdue; until they are loaded.
    """

    after: int
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    overdue: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what ``to_json`` wrote."""
        known = json.loads(text)
        return cls(known["after"], known["failed"], tuple(known["overdue"]))

    def to_json(self) -> str:
        """The text that Dagster keeps as the cursor."""
        return json.dumps(asdict(self))


def from_now_on(instance: DagsterInstance) -> AlertCursor:
    """Nothing told, and nothing to tell of runs that ended before now."""
    newest = (
        next(iter(instance.fetch_run_status_changes(kind, limit=1).records), None)
        for kind in (DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS)
    )
    return AlertCursor(after=max((record.storage_id for record in newest if record), default=0))


def pending_alerts(
    records: MonthRecords,
    cursor: AlertCursor,
    now: datetime | None = None,
) -> tuple[list[Alert], AlertCursor]:
    """What there is to tell now, and what will have been told then.

    Args:
        records: what is known of months and runs, and the settings: how many of the newest months
            are expected at all, and from which day on they are overdue.
        cursor: what was sent before.
        now: by default the present.
    """
    now = now or datetime.now(UTC)
    instance = records.instance
    alerts: list[Alert] = []
    failed = dict(cursor.failed)
    after = cursor.after
    for record in _ends_of_runs(instance, cursor.after, now.timestamp() - SETTLED_SECONDS):
        run = instance.get_run_by_id(record.run_id)
        if run is None:
            after = record.storage_id
            continue
        if will_be_retried(run) and record.timestamp > now.timestamp() - RETRY_SECONDS:
            break  # what becomes of it is not known yet
        after = record.storage_id
        if record.event_type is DagsterEventType.RUN_FAILURE:
            alerts += _failure(instance, run, failed)
        else:
            alerts += _recovery(instance, run, failed)
    late, overdue = _overdue(records, cursor, now)
    newest_failed = dict(list(failed.items())[-MOST_OPEN:])
    return [*alerts, *late], replace(cursor, after=after, failed=newest_failed, overdue=overdue)


def _ends_of_runs(instance: DagsterInstance, after: int, until: float) -> Iterator[EventLogRecord]:
    """Failures and successes since an event, up to a time, in their order."""
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


def _subject(run: DagsterRun) -> str:
    assets = ", ".join(sorted(key.to_user_string() for key in run.asset_selection or []))
    return run.tags.get(PARTITION_TAG) or assets or run.job_name


def _failure(
    instance: DagsterInstance, run: DagsterRun, failed: dict[str, dict[str, Any]]
) -> list[Alert]:
    if was_retried(run):
        return []  # the last run of the row tells
    subject = _subject(run)
    failure = failure_of(instance, run)
    said = {"steps": list(failure.steps), "said": f"{crc32(failure.message.encode()):08x}"}
    if failed.get(subject) == said:
        return []  # told, and nothing new: somebody, or a sensor, tried again
    failed.pop(subject, None)
    failed[subject] = said
    where = " and ".join(failure.steps) or "the run's process"
    if failure.checks:
        headline = f"{subject}: the check {', '.join(failure.checks)} did not pass"
    else:
        headline = f"{subject}: {where} failed"
    return [
        Alert(
            kind="check failed" if failure.checks else "failed",
            subject=subject,
            headline=headline,
            detail=failure.message,
            remedy=_remedy(subject),
            path=f"/runs/{run.run_id}",
        )
    ]


def _remedy(subject: str) -> str:
    try:
        month = TripMonth.from_key(subject)
    except ValueError:
        return "Once its cause is mended, run it again in the UI."
    return f"Once its cause is mended: {_backfill_command(month)}"


def _page(month: TripMonth) -> str:
    return f"/assets/raw_trips?view=partitions&partition={quote(month.key)}"


def _backfill_command(month: TripMonth) -> str:
    when = month.year_month
    return f"taxi-platform backfill --color {month.color} --from {when} --to {when}"


def _recovery(
    instance: DagsterInstance, run: DagsterRun, failed: dict[str, dict[str, Any]]
) -> list[Alert]:
    subject = _subject(run)
    said = failed.get(subject)
    if said is None:
        return []
    events = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_SUCCESS)
    done = {entry.step_key for entry in events}
    if not done.issuperset(said["steps"]):
        return []  # another part of the month: what failed has not been done since
    del failed[subject]
    what = " and ".join(said["steps"]) or "the run"
    return [
        Alert(
            kind="recovered",
            subject=subject,
            headline=f"{subject}: {what} succeeded; all is well again",
            detail="",
            remedy="",
            path=f"/runs/{run.run_id}",
        )
    ]


def _overdue(
    records: MonthRecords, cursor: AlertCursor, now: datetime
) -> tuple[list[Alert], tuple[str, ...]]:
    """Lateness month by month: loading an old one must not make a late one look fresh."""
    expected = newest_months(records.chosen, now)
    missing = set(records.missing(expected))
    patience = timedelta(days=records.chosen.overdue_days)
    late = [
        month
        for month in expected
        if month in missing
        and now >= datetime.combine(month.following, datetime.min.time(), UTC) + patience
    ]
    new = [
        Alert(
            kind="overdue",
            subject=month.key,
            headline=f"{month.key}: not loaded {(now.date() - month.following).days} days after "
            "its end",
            detail="The TLC publishes about two months late.",
            remedy=f"Look whether it is published; if so: {_backfill_command(month)}",
            path=_page(month),
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
            path=_page(month),
        )
        for month in expected
        if month.key in cursor.overdue and month not in missing
    ]
    return [*new, *arrived], tuple(month.key for month in late)
