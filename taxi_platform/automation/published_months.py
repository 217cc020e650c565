"""The sensor that loads what the source has published, for the first time or again."""

import time
from collections.abc import Iterable
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
from taxi_platform.errors import StoreError
from taxi_platform.resources.source import TripSourceResource
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
    """

    versions: dict[TripMonth, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def ask(source: TripSource, months: Iterable[TripMonth]) -> Publications:
    """Asks a source for the versions of months; an error with one does not affect the others."""
    found = Publications()
    deadline = time.monotonic() + ASK_SECONDS
    for month in months:
        if time.monotonic() > deadline:
            found.problems.append(
                f"{month} and later ones: not asked yet, because the source is slow"
            )
            break
        try:
            version = source.published(month)
        except StoreError as error:
            found.problems.append(str(error))
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
        "While the source cannot be reached, requests nothing and keeps its cursor.",
        minimum_interval_seconds=chosen.published_seconds,
        default_status=DefaultSensorStatus.RUNNING
        if chosen.automation
        else DefaultSensorStatus.STOPPED,
    )
    def evaluate(context: SensorEvaluationContext, source: TripSourceResource) -> SensorResult:
        months = newest_months(chosen)
        records = MonthRecords(context.instance, chosen)
        ledger = VersionLedger(context.cursor)
        ledger.keep_only({month.key for month in months})
        found = ask(source.get_source(), months)
        new = {month.key for month in records.missing(found.versions)}
        requests = ledger.due(
            records,
            found.versions,
            lambda month, version: records.loaded_version(month) == version,
        )
        runs = [
            *tagged([r for r in requests if r.partition_key in new], "published"),
            *tagged([r for r in requests if r.partition_key not in new], "published again"),
        ]
        return SensorResult(
            run_requests=runs,
            skip_reason=None if runs else _skip_reason(found, len(months)),
            cursor=ledger.to_json(),
        )

    return evaluate


def _skip_reason(found: Publications, asked: int) -> str:
    if found.problems:
        return (
            "the source did not answer for all months; the next tick asks again: "
            f"{found.problems[0]}"
        )
    return f"{len(found.versions)} of the {asked} newest months are published: nothing to request"
