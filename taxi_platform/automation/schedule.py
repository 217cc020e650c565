"""The monthly schedule: what the sensor of published months may have missed is made good."""

from dagster import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from taxi_platform.automation.jobs import REASON_TAG, ingest_month
from taxi_platform.automation.months import missing_months, months_on_their_way, newest_months
from taxi_platform.automation.published_months import ask
from taxi_platform.resources.files import TripSourceResource
from taxi_platform.settings import settings


@schedule(
    job=ingest_month,
    name="monthly",
    cron_schedule=settings().schedule_cron,
    # The TLC's own time zone, in which its months end.
    execution_timezone="America/New_York",
    default_status=DefaultScheduleStatus.RUNNING
    if settings().automation
    else DefaultScheduleStatus.STOPPED,
)
def monthly(
    context: ScheduleEvaluationContext, source: TripSourceResource
) -> list[RunRequest] | SkipReason:
    """Loads the newest months that are published and were never loaded whole, of each color.

    Not the last closed month: the TLC publishes about two months late. A month that it has not
    published yet is left for a later time, not tried and failed.
    """
    when = context.scheduled_execution_time
    missing = missing_months(context.instance, newest_months(settings().lookback_months, when))
    waiting = months_on_their_way(context.instance, missing)
    wanted = [month for month in missing if month not in waiting]
    found = ask(source.get_source(), wanted)
    if not found.versions:
        reason = found.problems[0] if found.problems else "none of them is published"
        return SkipReason(
            f"{len(missing)} months are missing, {len(waiting)} of them on their way; {reason}"
        )
    return [
        RunRequest(
            run_key=f"{when:%Y-%m-%dT%H:%M} {month.key}",
            partition_key=month.key,
            tags={REASON_TAG: "monthly"},
        )
        for month in found.versions
    ]
