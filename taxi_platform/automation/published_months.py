"""The sensor of published months: what the source has, new or published again, is loaded."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, sensor

from taxi_platform.automation.jobs import ingest_month
from taxi_platform.automation.months import loaded_version, missing_months, newest_months
from taxi_platform.automation.requests import Ledger, tagged
from taxi_platform.errors import StoreError
from taxi_platform.resources.files import TripSourceResource
from taxi_platform.settings import settings
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


@sensor(
    job=ingest_month,
    name="published_months",
    minimum_interval_seconds=settings().published_seconds,
    default_status=DefaultSensorStatus.RUNNING
    if settings().automation
    else DefaultSensorStatus.STOPPED,
)
def published_months(context: SensorEvaluationContext, source: TripSourceResource) -> SensorResult:
    """Loads each of the newest months as it is published, and again as it is published anew.

    The source is asked for the version (ETag) of each month of the look-back window, not for the
    file. While it cannot be reached nothing is requested and nothing forgotten.
    """
    months = newest_months(settings().lookback_months)
    ledger = Ledger(context.cursor)
    ledger.keep_only({month.key for month in months})
    found = ask(source.get_source(), months)
    missing = set(missing_months(context.instance, found.versions))
    requests = ledger.due(
        context.instance,
        found.versions,
        lambda month, version: loaded_version(context.instance, month) == version,
        settings().request_again_seconds,
    )
    new = {month.key for month in missing}
    runs = [
        *tagged([r for r in requests if r.partition_key in new], "published"),
        *tagged([r for r in requests if r.partition_key not in new], "published again"),
    ]
    return SensorResult(
        run_requests=runs,
        skip_reason=None if runs else _nothing_to_do(found, len(months)),
        cursor=ledger.cursor(),
    )


def _nothing_to_do(found: Publications, asked: int) -> str:
    said = f"{len(found.versions)} of the {asked} newest months are published, and seen to"
    if found.problems:
        return f"the source did not answer for all, which will be asked again: {found.problems[0]}"
    return said
