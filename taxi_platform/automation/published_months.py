"""The sensor that loads what the source has published, for the first time or again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dagster import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from taxi_platform.automation.jobs import INGEST_MONTH
from taxi_platform.automation.months import MonthRecords, newest_months
from taxi_platform.automation.requests import VersionLedger, tagged
from taxi_platform.errors import PermanentStoreError, StoreError
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.safe_texts import safe_errors, safe_line
from taxi_platform.settings import Settings
from taxi_platform.sources.publications import TripSource
from taxi_platform.trips.month import TripMonth

ASK_SECONDS = 30.0
"""After so long, the remaining months wait for the next tick; Dagster allows a tick 60 seconds."""


@dataclass
class Publications:
    """A source's answers about some months.

    Attributes:
        versions: the version of each month that is published.
        problems: the errors of the requests that failed.
        refused: the first of them that is permanent.
        resume_at: the first month that there was no time for.
    """

    versions: dict[TripMonth, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: str | None = None
    resume_at: TripMonth | None = None

    def fail_if_refused(self) -> None:
        """Makes the tick red, which the alerts report, if the source refuses all months.

        Otherwise nothing would be loaded, and nobody would know why.

        Raises:
            PermanentStoreError: it does.
        """
        if self.refused and not self.versions:
            raise PermanentStoreError(self.refused)


def ask(
    source: TripSource, months: Sequence[TripMonth], resume_at: str | None = None
) -> Publications:
    """Asks a source for the versions of months; an error with one does not affect the others.

    Args:
        source: the source.
        months: the months, the most urgent first.
        resume_at: the partition key of the month to begin with, where the last time ended.
    """
    found = Publications()
    deadline = time.monotonic() + ASK_SECONDS
    start = next((n for n, month in enumerate(months) if month.key == resume_at), 0)
    for number, month in enumerate([*months[start:], *months[:start]]):
        if number and time.monotonic() > deadline:
            found.resume_at = month
            found.problems.append(f"{month}: not asked yet, because the source is slow")
            break
        try:
            version = source.published(month)
        except StoreError as error:
            found.problems.append(str(error))
            if isinstance(error, PermanentStoreError):
                found.refused = found.refused or str(error)
        else:
            if version is not None:
                found.versions[month] = version
    return found


def published_months(chosen: Settings) -> SensorDefinition:
    """The sensor that loads each of the newest months when it is published or published again."""

    @sensor(
        job_name=INGEST_MONTH,
        name="published_months",
        description="Loads each of the newest months when it is published, and again when it is "
        "published again. Asks the source for the version (ETag) of each month, not for the file. "
        "While the source cannot be reached, requests nothing and keeps its cursor. Fails if the "
        "source refuses access.",
        minimum_interval_seconds=chosen.published_seconds,
        default_status=DefaultSensorStatus.RUNNING
        if chosen.automation
        else DefaultSensorStatus.STOPPED,
    )
    @safe_errors()
    def evaluate(context: SensorEvaluationContext, source: TripSourceResource) -> SensorResult:
        months = newest_months(chosen)
        records = MonthRecords(context.instance, chosen)
        ledger = VersionLedger(context.cursor)
        ledger.keep_only({month.key for month in months})
        found = ask(source.get_source(), months, ledger.resume_at)
        found.fail_if_refused()
        ledger.resume_at = found.resume_at.key if found.resume_at else None
        same: list[TripMonth] = []

        def is_same(month: TripMonth) -> bool:
            if not records.was_loaded_for_nothing(month):
                return False
            same.append(month)
            return True

        new = {month.key for month in records.missing(found.versions)}
        requests = ledger.due(
            records,
            found.versions,
            lambda month, version: records.loaded_version(month) == version,
            is_same,
        )
        runs = [
            *tagged([r for r in requests if r.partition_key in new], "published"),
            *tagged([r for r in requests if r.partition_key not in new], "published again"),
        ]
        return SensorResult(
            run_requests=runs,
            skip_reason=None if runs else _skip_reason(found, len(months), same),
            cursor=ledger.to_json(),
        )

    return evaluate


def _skip_reason(found: Publications, asked: int, same: Sequence[TripMonth]) -> str:
    said = f"{len(found.versions)} of the {asked} newest months are published: nothing to request"
    if found.problems:
        said = (
            f"the source did not answer for {len(found.problems)} of the {asked} newest months; "
            f"the next tick asks again: {found.problems[0]}"
        )
    if same:
        said += (
            f". The source's version of {', '.join(map(str, same))} changes, but the content was "
            "the same: loaded again after a day at the earliest"
        )
    return safe_line(said)
