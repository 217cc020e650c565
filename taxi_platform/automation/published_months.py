"""The sensor of published months: what the source has, new or published again, is loaded."""

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
"""How long the source is asked before the rest waits for the next look: Dagster gives a look 60."""


@dataclass
class Publications:
    """What a source said of some months.

    Attributes:
        versions: the version of each month that it has published.
        problems: what went wrong with those that it could not be asked about.
    """

    versions: dict[TripMonth, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def ask(source: TripSource, months: Iterable[TripMonth]) -> Publications:
    """Asks a source for the versions of months; a problem with one does not hide the others."""
    found = Publications()
    deadline = time.monotonic() + ASK_SECONDS
    for month in months:
        if time.monotonic() > deadline:
            found.problems.append(f"{month} and on: not asked, the source is slow")
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
    """The sensor that loads each of the newest months as it is published, and published again."""

    @sensor(
        job_name=INGEST_MONTH,
        name="published_months",
        description="Loads each of the newest months as it is published, and again as it is "
        "published anew. The source is asked for the version (ETag) of each month, not for the "
        "file. While it cannot be reached nothing is requested and nothing forgotten.",
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
            skip_reason=None if runs else _nothing_to_do(found, len(months)),
            cursor=ledger.to_json(),
        )

    return evaluate


def _nothing_to_do(found: Publications, asked: int) -> str:
    said = f"{len(found.versions)} of the {asked} newest months are published, and seen to"
    if found.problems:
        return f"the source did not answer for all, which will be asked again: {found.problems[0]}"
    return said
