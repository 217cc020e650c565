"""The executor of runs: in one process, which Ctrl-C and *Terminate* end at once."""

from collections.abc import Iterator

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    ExecutorDefinition,
    InitExecutorContext,
    in_process_executor,
)

from taxi_platform.dagster_internals import (
    INTERRUPTS,
    ExecutionPlan,
    InProcessExecutor,
    PlanOrchestrationContext,
    make_runs_interruptible,
    request_cancellation,
)


class InterruptibleExecutor(InProcessExecutor):
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
        try:
            yield from super().execute(plan_context, execution_plan)
        except INTERRUPTS:
            _cancel_unless_launched(plan_context.instance, plan_context.run_id)
            raise


def _cancel_unless_launched(instance: DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not DagsterRunStatus.STARTED:
        return
    if not instance.all_logs(run_id, of_type=DagsterEventType.RUN_STARTING):
        request_cancellation(instance, run, "The command that executes the run was interrupted.")


def _create(context: InitExecutorContext) -> InterruptibleExecutor:
    make_runs_interruptible()
    create = in_process_executor.executor_creation_fn
    assert create is not None  # noqa: S101 (Dagster's own executor has one)
    plain = create(context)
    return InterruptibleExecutor(
        retries=plain.retries, step_dependency_config=plain.step_dependency_config
    )


interruptible_executor = ExecutorDefinition(
    name=in_process_executor.name,
    config_schema=in_process_executor.config_schema.as_field(),
    executor_creation_fn=_create,
    description=in_process_executor.description,
)
"""Takes the same run configuration as Dagster's in-process executor."""
