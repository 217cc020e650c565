"""Why a run failed, from its events: for people to read and for sensors to decide by."""

from collections.abc import Sequence
from dataclasses import dataclass

from dagster import (
    AssetCheckEvaluation,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    EventLogEntry,
)

from taxi_platform.automation.months import PARTITION_TAG
from taxi_platform.dagster_internals import was_interrupted
from taxi_platform.io_managers.failures import next_step
from taxi_platform.printable import printable
from taxi_platform.trips.month import TripMonth

WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"

PROCESS_ENDED = "Run execution process"
"""How the code server's event about a dead run begins; the event names the signal."""


@dataclass(frozen=True)
class RunFailure:
    """Why a run failed.

    Attributes:
        steps: the steps that failed; empty if the run's process died.
        checks: the blocking checks that did not pass.
        message: the message of the first failed step or of the checks, in one line.
        permanent: whether a retry is useless until somebody changes something.
    """

    steps: tuple[str, ...]
    checks: tuple[str, ...]
    message: str
    permanent: bool

    def headline(self, subject: str) -> str:
        """What failed and where, in one line without the cause."""
        if self.checks:
            return f"{subject}: the check {', '.join(self.checks)} did not pass"
        where = " and ".join(self.steps) or "the run's process"
        return f"{subject}: {where} failed"

    def cause(self, subject: str) -> str:
        """The message, without the subject with which those of stores and files begin."""
        return self.message.removeprefix(f"{subject}: ")


def failure_of(instance: DagsterInstance, run: DagsterRun) -> RunFailure:
    """Why a failed run failed."""
    events = instance.all_logs(
        run.run_id,
        of_type={
            DagsterEventType.STEP_FAILURE,
            DagsterEventType.RUN_FAILURE,
            DagsterEventType.ASSET_CHECK_EVALUATION,
            DagsterEventType.ENGINE_EVENT,
        },
    )
    evaluations = _failed_checks(events)
    checks = tuple(e.check_name for e in evaluations)
    failed = [
        event
        for event in (entry.dagster_event for entry in events)
        if event is not None and event.is_step_failure and not was_interrupted(event)
    ]
    if not failed:
        return RunFailure((), checks, _folded(_how_it_died(events)), permanent=False)
    steps = tuple(dict.fromkeys(event.step_key or "" for event in failed))
    if checks:
        return RunFailure(steps, checks, _folded(_what_checks_found(evaluations)), permanent=True)
    data = failed[0].step_failure_data
    said_by_us = data.user_failure_data
    message = (said_by_us.description if said_by_us else None) or (
        data.error.to_string() if data.error else "no error was recorded"
    )
    fault = said_by_us.metadata.get("fault") if said_by_us else None
    return RunFailure(steps, checks, _folded(message), fault is None or fault.value != "transient")


def subject_of(run: DagsterRun) -> str:
    """What a run is about: its partition, or else its assets or its job."""
    assets = ", ".join(sorted(key.to_user_string() for key in run.asset_selection or []))
    return printable(run.tags.get(PARTITION_TAG) or assets or run.job_name)


def remedy(subject: str, message: str) -> str:
    """What to do about a failure; empty if its message says it already."""
    try:
        todo = next_step(TripMonth.from_key(subject))
    except ValueError:
        return "Once the cause is fixed, run it again in the UI."
    return "" if todo in message else f"Once the cause is fixed: {todo}"


def will_be_retried(run: DagsterRun) -> bool:
    """Whether Dagster will retry it: its process died, and it has not been retried yet."""
    return (
        run.status is DagsterRunStatus.FAILURE
        and run.tags.get(WILL_RETRY_TAG) == "true"
        and RETRIED_BY_TAG not in run.tags
    )


def was_retried(run: DagsterRun) -> bool:
    """Whether Dagster has retried it with another run."""
    return RETRIED_BY_TAG in run.tags


def _failed_checks(events: Sequence[EventLogEntry]) -> list[AssetCheckEvaluation]:
    evaluations = [entry.asset_check_evaluation for entry in events]
    return [e for e in evaluations if e and e.blocking and not e.passed]


def _what_checks_found(evaluations: Sequence[AssetCheckEvaluation]) -> str:
    return "; ".join(
        f"{e.check_name} of {e.asset_key.to_user_string()}: "
        + (e.description or ", ".join(f"{name} {fact.value}" for name, fact in e.metadata.items()))
        for e in evaluations
    )


def _how_it_died(events: Sequence[EventLogEntry]) -> str:
    """Why a run ended without a failed step; the best source is the event about its process."""
    dagster_events = [entry for entry in events if entry.dagster_event is not None]
    of_run = [
        entry.message
        for entry in dagster_events
        if entry.dagster_event_type is DagsterEventType.RUN_FAILURE and entry.message
    ]
    of_process = [
        entry.message
        for entry in dagster_events
        if entry.dagster_event_type is DagsterEventType.ENGINE_EVENT
        and entry.message.startswith(PROCESS_ENDED)
    ]
    return (of_process or of_run or ["the run's process ended without an error message"])[-1]


def _folded(message: str) -> str:
    return " ".join(message.split())
