"""The executor of runs: in one process, which can be ended at once, and says why it failed.

Dagster's own last event of a failed run is that it failed, and the event before is a stack trace.
"""

from collections.abc import Iterator
from textwrap import shorten

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    ExecutorDefinition,
    InitExecutorContext,
    in_process_executor,
)

from taxi_platform.automation.failures import failure_of, remedy, subject_of
from taxi_platform.dagster_internals import (
    INTERRUPTS,
    ExecutionPlan,
    InProcessExecutor,
    PlanOrchestrationContext,
    make_runs_interruptible,
    request_cancellation,
)
from taxi_platform.safe_texts import safe_line

CAUSE_TAG = "taxi/cause"
"""The tag of a failed run with its cause, which lists of runs show: those of a backfill, too."""

MOST_OF_CAUSE = 200
"""Characters of a cause in a tag."""


class RunExecutor(InProcessExecutor):
    """Dagster's in-process executor, whose runs are canceled by whoever started them.

    Dagster only counts an interrupt as a cancellation if it was requested in the UI; all others
    are failures. That is right if a run was launched, and its process is stopped by a machine that
    goes down: then another run replaces it. At a terminal it is a person who does not want the
    run any more.
    """

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """See ``dagster.Executor``."""
        instance, run_id = plan_context.instance, plan_context.run_id
        if CAUSE_TAG in plan_context.run_tags:  # of the run that this one is a retry of
            instance.add_run_tags(run_id, {CAUSE_TAG: "none yet"})
        failed = False
        try:
            for event in super().execute(plan_context, execution_plan):
                failed = failed or event.is_step_failure
                yield event
        except INTERRUPTS:
            _cancel_unless_launched(instance, run_id)
            raise
        if failed and (cause := _cause(instance, run_id)):
            in_short = shorten(cause, MOST_OF_CAUSE, placeholder="…")
            instance.add_run_tags(run_id, {CAUSE_TAG: in_short})
            plan_context.log.error(cause)


def _cause(instance: DagsterInstance, run_id: str) -> str | None:
    """Why a run failed and what to do, in one line; None if it was interrupted."""
    run = instance.get_run_by_id(run_id)
    failure = failure_of(instance, run) if run else None
    if run is None or failure is None or not failure.steps:
        return None
    subject = subject_of(run)
    said = failure.cause(subject)
    then = remedy(subject, said)
    return safe_line(f"{failure.headline(subject)}: {said}" + (f". {then}" if then else ""))


def _cancel_unless_launched(instance: DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not DagsterRunStatus.STARTED:
        return
    if not instance.all_logs(run_id, of_type=DagsterEventType.RUN_STARTING):
        request_cancellation(instance, run, "The command that executes the run was interrupted.")


def _create(context: InitExecutorContext) -> RunExecutor:
    make_runs_interruptible()
    create = in_process_executor.executor_creation_fn
    assert create is not None  # noqa: S101 (Dagster's own executor has one)
    plain = create(context)
    return RunExecutor(retries=plain.retries, step_dependency_config=plain.step_dependency_config)


run_executor = ExecutorDefinition(
    name=in_process_executor.name,
    config_schema=in_process_executor.config_schema.as_field(),
    executor_creation_fn=_create,
    description=in_process_executor.description,
)
"""Takes the same run configuration as Dagster's in-process executor."""
