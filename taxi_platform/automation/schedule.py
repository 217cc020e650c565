"""The monthly schedule: loads what the sensor ``published_months`` may have missed."""

from dagster import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from taxi_platform.automation.jobs import INGEST_MONTH, REASON_TAG
from taxi_platform.automation.months import MonthRecords, newest_months
from taxi_platform.automation.published_months import ask
from taxi_platform.printable import counted
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.safe_texts import safe_errors, safe_line
from taxi_platform.settings import Settings


def monthly(chosen: Settings) -> ScheduleDefinition:
    """The schedule that loads months that are published and were never loaded completely.

    It does not simply request the last month: the TLC publishes about two months late. It does not
    request a month that is not published yet, since the run would fail.
    """

    @schedule(
        job_name=INGEST_MONTH,
        name="monthly",
        description="Loads the newest months that are published and were never loaded completely.",
        cron_schedule=chosen.schedule_cron,
        # The TLC's own time zone, in which its months end.
        execution_timezone="America/New_York",
        default_status=DefaultScheduleStatus.RUNNING
        if chosen.automation
        else DefaultScheduleStatus.STOPPED,
    )
    @safe_errors()
    def evaluate(
        context: ScheduleEvaluationContext, source: TripSourceResource
    ) -> list[RunRequest] | SkipReason:
        when = context.scheduled_execution_time
        records = MonthRecords(context.instance, chosen)
        missing = records.missing(newest_months(chosen, when))
        waiting = records.running(missing)
        found = ask(source.get_source(), [month for month in missing if month not in waiting])
        found.fail_if_refused()
        if not found.versions:
            reason = found.problems[0] if found.problems else "none of them is published"
            return SkipReason(
                safe_line(
                    f"{counted(len(missing), 'month')} missing, {len(waiting)} queued or running; "
                    f"{reason}"
                )
            )
        return [
            RunRequest(
                run_key=f"{when:%Y-%m-%dT%H:%M} {month.key}",
                partition_key=month.key,
                tags={REASON_TAG: "monthly"},
            )
            for month in found.versions
        ]

    return evaluate
