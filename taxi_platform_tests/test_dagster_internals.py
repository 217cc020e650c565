"""What is used of Dagster that is not public, on a real instance: what a new version breaks."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    DagsterError,
    DagsterEventType,
    DagsterExecutionInterruptedError,
    DagsterInstance,
    Definitions,
    InputContext,
    IOManager,
    IOManagerDefinition,
    OutputContext,
    RetryPolicy,
    StaticPartitionsDefinition,
    asset,
    define_asset_job,
    materialize,
)
from dagster._core import errors as dagster_errors
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.execution.plan.active import ActiveExecution
from dagster._utils.interrupts import raise_interrupts_as

from taxi_platform import dagster_internals as internals
from taxi_platform.automation.failures import failure_of

# Dagster's own code still uses what it deprecates, to make a backfill.
pytestmark = pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`")

KEYS = ["a", "b", "c"]
PARTITIONS = StaticPartitionsDefinition(KEYS)


@asset(partitions_def=PARTITIONS)
def first() -> int:
    return 1


@asset(partitions_def=PARTITIONS, deps=[first])
def second() -> int:
    return 2


@asset
def whole() -> int:
    return 3


ASSETS: list[AssetsDefinition] = [first, second]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def request(instance: DagsterInstance, *keys: str) -> str:
    return internals.request_backfill(instance, ASSETS, keys, tags={"why": "test"}, title="two")


def end(instance: DagsterInstance, backfill_id: str, status: BulkActionStatus) -> None:
    backfill = instance.get_backfill(backfill_id)
    assert backfill is not None
    instance.update_backfill(backfill.with_status(status))


def test_a_backfill_is_left_for_the_daemon_and_is_found_until_it_has_ended(
    instance: DagsterInstance,
) -> None:
    assert internals.unfinished_backfills(instance) == []
    backfill_id = request(instance, "a", "b")
    (found,) = internals.unfinished_backfills(instance)
    assert isinstance(found, PartitionBackfill)
    assert (found.backfill_id, found.title, found.tags["why"]) == (backfill_id, "two", "test")
    assert not internals.is_backfill_over(instance, backfill_id)
    end(instance, backfill_id, BulkActionStatus.COMPLETED_SUCCESS)
    assert internals.unfinished_backfills(instance) == []
    assert internals.is_backfill_over(instance, backfill_id)


@pytest.mark.parametrize(
    "status",
    [
        BulkActionStatus.COMPLETED_SUCCESS,
        BulkActionStatus.COMPLETED_FAILED,
        BulkActionStatus.CANCELED,
        BulkActionStatus.FAILED,
    ],
)
def test_a_backfill_is_over_however_it_ended(
    instance: DagsterInstance, status: BulkActionStatus
) -> None:
    backfill_id = request(instance, "a")
    end(instance, backfill_id, status)
    assert internals.is_backfill_over(instance, backfill_id)
    assert status in BULK_ACTION_TERMINAL_STATUSES


def test_an_unknown_backfill_is_over(instance: DagsterInstance) -> None:
    assert internals.is_backfill_over(instance, "unknown")


def test_the_targets_are_those_that_were_requested_of_all_of_the_assets(
    instance: DagsterInstance,
) -> None:
    request(instance, "c", "a")
    (backfill,) = internals.unfinished_backfills(instance)
    assert internals.backfill_targets(backfill, ASSETS) == ["a", "c"]

    @asset(partitions_def=PARTITIONS)
    def third() -> None:
        """In no backfill."""

    assert internals.backfill_targets(backfill, [*ASSETS, third]) == []


def test_a_backfill_asks_for_all_of_the_assets(instance: DagsterInstance) -> None:
    backfill_id = request(instance, "b")
    backfill = instance.get_backfill(backfill_id)
    assert backfill is not None
    assert backfill.is_asset_backfill
    assert set(backfill.asset_selection or []) == {first.key, second.key}
    assert backfill.status is BulkActionStatus.REQUESTED


def test_failed_partitions_are_those_whose_last_attempt_failed(instance: DagsterInstance) -> None:
    broken = {"a", "b"}

    @asset(partitions_def=PARTITIONS)
    def fragile(context: AssetExecutionContext) -> None:
        if context.partition_key in broken:
            raise ValueError("broken")

    def run(key: str) -> bool:
        return materialize(
            [fragile], partition_key=key, instance=instance, raise_on_error=False
        ).success

    assert internals.failed_partitions(instance, fragile, KEYS) == set()
    assert [run(key) for key in KEYS] == [False, False, True]
    assert internals.failed_partitions(instance, fragile, KEYS) == {"a", "b"}
    broken.clear()
    assert run("a")
    assert internals.failed_partitions(instance, fragile, KEYS) == {"b"}
    assert internals.failed_partitions(instance, fragile, ["a", "c"]) == set()
    assert internals.failed_partitions(instance, whole, KEYS) == set()


class Versioned(IOManager):
    """Says itself which version it has stored."""

    def handle_output(self, context: OutputContext, obj: int) -> None:
        internals.set_data_version(context, context.asset_key, f"content-{obj}")

    def load_input(self, context: InputContext) -> None:
        """Nobody reads."""


def test_the_data_version_that_an_io_manager_sets_is_recorded(instance: DagsterInstance) -> None:
    manager = IOManagerDefinition.hardcoded_io_manager(Versioned())
    result = materialize([whole], instance=instance, resources={"io_manager": manager})
    (event,) = result.get_asset_materialization_events()
    tags = event.step_materialization_data.materialization.tags or {}
    assert tags["dagster/data_version"] == "content-3"


def test_ids_of_runs_are_new_and_what_a_run_takes(instance: DagsterInstance) -> None:
    ids = {internals.make_new_run_id() for _ in range(3)}
    assert len({UUID(run_id) for run_id in ids}) == 3
    run_id = ids.pop()
    job = Definitions([whole]).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, run_id=run_id).run_id == run_id
    assert instance.get_run_by_id(run_id) is not None


def test_a_job_of_assets_is_what_the_annotation_says() -> None:
    job = define_asset_job("some", AssetSelection.assets(AssetKey("whole")))
    assert isinstance(job, internals.UnresolvedAssetJobDefinition)


def test_a_home_that_is_not_set_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(internals.DagsterHomeNotSetError):
        DagsterInstance.get()


def test_a_home_that_is_wrong_is_an_error_of_dagsters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {nonsense: {}}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(internals.DagsterError):
        DagsterInstance.get()
    assert issubclass(DagsterError, internals.DagsterError)


@pytest.fixture
def interruptible(monkeypatch: pytest.MonkeyPatch) -> None:
    # All are put back after the test.
    monkeypatch.setattr(RetryPolicy, "calculate_delay", RetryPolicy.calculate_delay)
    monkeypatch.setattr(ActiveExecution, "sleep_til_ready", ActiveExecution.sleep_til_ready)
    monkeypatch.setattr(dagster_errors, "raise_interrupts_as", raise_interrupts_as)
    monkeypatch.setattr(internals, "NOTICED_SECONDS", 0.5)
    internals.make_runs_interruptible()


@pytest.mark.usefixtures("interruptible")
def test_a_step_that_is_interrupted_is_not_retried_whatever_its_policy(
    instance: DagsterInstance,
) -> None:
    attempts = []

    @asset(retry_policy=RetryPolicy(max_retries=3, delay=600))
    def interrupted() -> None:
        attempts.append(1)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(DagsterExecutionInterruptedError):
        materialize([interrupted], instance=instance)
    assert attempts == [1]
    (run,) = instance.get_runs()
    assert not instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_UP_FOR_RETRY)
    (failed,) = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    assert failed.dagster_event is not None
    assert internals.was_interrupted(failed.dagster_event)
    # Nobody has to change anything: it may be requested again.
    assert not failure_of(instance, run).permanent


@pytest.mark.usefixtures("interruptible")
def test_other_failures_are_retried_as_before(instance: DagsterInstance) -> None:
    attempts = []

    @asset(retry_policy=RetryPolicy(max_retries=3, delay=0.01))
    def fails_twice() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("once more")

    assert materialize([fails_twice], instance=instance).success
    assert attempts == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_wait_between_retries_ends_with_an_interrupt(instance: DagsterInstance) -> None:
    @asset(retry_policy=RetryPolicy(max_retries=3, delay=600))
    def fails() -> None:
        # When the step has ended and the wait has begun.
        threading.Timer(1, os.kill, [os.getpid(), signal.SIGINT]).start()
        raise ValueError("once more")

    with pytest.raises(DagsterExecutionInterruptedError):
        materialize([fails], instance=instance)


class Finalized:
    """Is interrupted where Python drops exceptions."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seconds", [0, 600], ids=["at the step's end", "while it goes on"])
def test_an_interrupt_that_python_drops_is_raised_again(
    instance: DagsterInstance, seconds: float
) -> None:
    after = []

    @asset(retry_policy=RetryPolicy(max_retries=3, delay=600))
    def interrupted() -> None:
        Finalized()
        after.append(1)
        time.sleep(seconds)
        after.append(2)

    @asset(deps=[interrupted])
    def following() -> None:
        after.append(3)

    with pytest.raises(DagsterExecutionInterruptedError):
        materialize([interrupted, following], instance=instance)
    assert after == ([1] if seconds else [1, 2])
