"""All uses of Dagster's private API, in one place.

A new version of Dagster may change this API; ``test_dagster_internals`` then fails. Logic of the
platform does not belong here. (``dagster_storage`` uses dagster-postgres' storages, and ``workers``
dagster-celery's launcher; they have tests of their own.)
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    DagsterEvent,
    DagsterExecutionInterruptedError,
    DagsterInstance,
    DagsterRun,
    DataVersion,
    OutputContext,
    RetryPolicy,
    raise_execution_interrupts,
)
from dagster._core import errors as dagster_errors
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.data_version import DATA_VERSION_TAG as DATA_VERSION_TAG
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
)
from dagster._core.errors import DagsterHomeNotSetError as DagsterHomeNotSetError
from dagster._core.execution.context.system import (
    PlanOrchestrationContext as PlanOrchestrationContext,
)
from dagster._core.execution.context.system import StepExecutionContext as StepExecutionContext
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.execution.plan.plan import ExecutionPlan as ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor as InProcessExecutor
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorTick,
    SensorInstigatorData,
    TickStatus,
)
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster._core.utils import make_new_backfill_id
from dagster._core.utils import make_new_run_id as make_new_run_id
from dagster._time import get_current_timestamp
from dagster._utils.interrupts import raise_interrupts_as
from dagster._utils.schedules import is_valid_cron_schedule
from dagster_shared.error import DagsterError as DagsterError

if TYPE_CHECKING:
    # Imported where it is used: it takes a tenth of a second at every start.
    from dagster._core.execution.backfill import PartitionBackfill


def request_backfill(
    instance: DagsterInstance,
    assets: Sequence[AssetsDefinition],
    partition_keys: Sequence[str],
    tags: dict[str, str],
    title: str,
    run_config: dict[str, Any] | None = None,
) -> str:
    """Requests a backfill of assets from the daemon, and returns its id."""
    from dagster._core.execution.backfill import PartitionBackfill

    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=AssetGraph.from_assets(assets),
        partition_names=partition_keys,
        asset_selection=[key for asset in assets for key in asset.keys],
        backfill_timestamp=get_current_timestamp(),
        tags=tags,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=None,
        run_config=run_config,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def unfinished_backfills(instance: DagsterInstance) -> Sequence["PartitionBackfill"]:
    """The backfills that the daemon has not finished."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    chosen = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return instance.get_backfills(filters=chosen)


def backfill_targets(
    backfill: "PartitionBackfill", assets: Sequence[AssetsDefinition]
) -> Sequence[str]:
    """The partition keys of a backfill, if it includes all of these assets; else none."""
    keys = {key for asset in assets for key in asset.keys}
    if not backfill.is_asset_backfill or not keys <= set(backfill.asset_selection or []):
        return []
    data = backfill.get_asset_backfill_data(AssetGraph.from_assets(assets))
    return sorted(data.get_target_partitions_subset(assets[0].key).get_partition_keys())


def is_backfill_over(instance: DagsterInstance, backfill_id: str) -> bool:
    """Whether a backfill has ended, or is unknown."""
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES

    backfill = instance.get_backfill(backfill_id)
    return backfill is None or backfill.status in BULK_ACTION_TERMINAL_STATUSES


def failed_partitions(
    instance: DagsterInstance, asset: AssetsDefinition, keys: Sequence[str]
) -> set[str]:
    """The partitions of an asset, or of one of several that are made together, that failed last."""
    partitions = asset.partitions_def
    if partitions is None:
        return set()
    found = [instance.get_status_by_partition(one, keys, partitions) or {} for one in asset.keys]
    return {
        key
        for states in found
        for key, state in states.items()
        if state is AssetPartitionStatus.FAILED
    }


@dataclass(frozen=True)
class LastTick:
    """The last tick of a sensor or schedule that has ended.

    Attributes:
        name: of the sensor or schedule.
        at: when it began, in seconds since 1970.
        is_red: whether it failed.
        is_unreachable: whether it failed because the code server did not answer.
        failures: how many ticks in a row have failed.
        said: the message of the error that caused its failure.
        cursor: the sensor's cursor now.
    """

    name: str
    at: float
    is_red: bool
    is_unreachable: bool
    failures: int
    said: str
    cursor: str | None


def last_ticks(instance: DagsterInstance) -> list[LastTick]:
    """The last tick that has ended of each sensor and schedule that is on."""
    # An ephemeral instance has none.
    states = instance.all_instigator_state() if instance.schedule_storage else []
    found = []
    for state in states:
        if not state.is_running:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=1, statuses=_ENDED
        )
        found += [_last_tick(state, tick) for tick in ticks]
    return found


_ENDED = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]


def _last_tick(state: InstigatorState, tick: InstigatorTick) -> LastTick:
    error = tick.error
    names = set()
    said = ""
    while error is not None:
        names.add(error.cls_name)
        said = error.message
        error = error.cause
    data = state.instigator_data
    return LastTick(
        name=state.instigator_name,
        at=tick.timestamp,
        is_red=tick.status is TickStatus.FAILURE,
        is_unreachable="DagsterUserCodeUnreachableError" in names,
        failures=tick.consecutive_failure_count,
        said=said,
        cursor=data.cursor if isinstance(data, SensorInstigatorData) else None,
    )


def is_cron_schedule(text: str) -> bool:
    """Whether a text is a cron schedule that Dagster accepts."""
    return is_valid_cron_schedule(text)


def set_data_version(context: OutputContext, key: AssetKey, version: str) -> None:
    """Records the data version of an IO manager's output."""
    context.step_context.set_data_version(key, DataVersion(version))


INTERRUPTS = (KeyboardInterrupt, DagsterExecutionInterruptedError)
"""What Ctrl-C and SIGTERM raise in a run."""

NOTICED_SECONDS = 10.0
"""If an interrupt is not noticed within this time, which cleaning up may take, it is repeated."""

_unnoticed = threading.Event()
_calculate_delay = RetryPolicy.calculate_delay
_sleep_til_ready = ActiveExecution.sleep_til_ready


def make_runs_interruptible() -> None:
    """Lets interrupts end this process's runs at once.

    Dagster retries a step that was interrupted as if it had failed (dagster#15026), and while it
    waits between retries it does not notice interrupts. And its handler of signals raises an
    exception, once: if that happens in a finalizer or in the callback of a weak reference, Python
    drops it, and the run goes on.
    """
    errors: Any = dagster_errors
    errors.raise_interrupts_as = _raise_interrupts_until_noticed
    policy: Any = RetryPolicy
    policy.calculate_delay = _delay_unless_interrupted
    execution: Any = ActiveExecution
    execution.sleep_til_ready = _sleep_unless_interrupted


def _delay_unless_interrupted(policy: RetryPolicy, attempt_num: int) -> float:
    # Dagster asks for the delay while it handles what ended the step.
    ended_by = sys.exception()
    if isinstance(ended_by, INTERRUPTS):
        raise ended_by
    return _calculate_delay(policy, attempt_num)


def _sleep_unless_interrupted(execution: ActiveExecution) -> None:
    with raise_execution_interrupts():
        _sleep_til_ready(execution)


@contextmanager
def _raise_interrupts_until_noticed(error_class: type[BaseException]) -> Iterator[None]:
    """As Dagster's ``raise_interrupts_as``, but raises again what was lost."""
    with raise_interrupts_as(error_class):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        left = threading.Event()

        def repeat(number: int) -> None:
            while not left.wait(NOTICED_SECONDS) and _unnoticed.is_set():
                os.kill(os.getpid(), number)

        def handle(number: int, _frame: FrameType | None) -> None:
            if not _unnoticed.is_set():
                _unnoticed.set()
                threading.Thread(target=repeat, args=(number,), daemon=True).start()
            raise error_class

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)
        try:
            yield
            if _unnoticed.is_set():
                raise error_class
        except error_class:
            _unnoticed.clear()
            raise
        finally:
            left.set()


def request_cancellation(instance: DagsterInstance, run: DagsterRun, message: str) -> None:
    """Records that a run is to be canceled, so that an interrupt does not count as its failure."""
    instance.report_run_canceling(run, message)


def put_back_into_queue(instance: DagsterInstance, run: DagsterRun, why: str, by: type) -> None:
    """Lets a run that a launcher could not launch wait in Dagster's queue again."""
    instance.report_engine_event(f"{why} The run waits.", run, cls=by)
    instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)


def was_interrupted(failed_step: DagsterEvent) -> bool:
    """Whether a step failed because its process was interrupted."""
    return failed_step.step_failure_data.error_source is ErrorSource.INTERRUPT
