"""The one layer that retries: how often, how long, and what the run's log says of it."""

from typing import Any

import pytest
from dagster import (
    AssetExecutionContext,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    RetryPolicy,
    asset,
    materialize,
)

from taxi_platform.assets.trips import trip_assets
from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.io_managers.failures import RETRY_DEADLINE_TAG, as_failures
from taxi_platform.settings import load_settings

REMEDY = "Once the cause is fixed: taxi-platform backfill --color green --from 2024-01 --to 2024-01"


def run_failing(
    error: Exception, failures: int, retries: int, deadline: float
) -> tuple[ExecuteInProcessResult, int]:
    """Materializes an asset that fails so many times; the run, and the attempts that it took."""
    attempts = 0

    @asset(
        retry_policy=RetryPolicy(max_retries=retries, delay=0.2),
        op_tags={RETRY_DEADLINE_TAG: str(deadline)},
    )
    def unlucky(context: AssetExecutionContext) -> None:
        nonlocal attempts
        attempts += 1
        with as_failures("green|2024-01", context):
            if attempts <= failures:
                raise error

    with DagsterInstance.ephemeral() as instance:
        result = materialize([unlucky], instance=instance, raise_on_error=False)
    return result, attempts


def description(result: ExecuteInProcessResult) -> Any:
    event = next(e for e in result.all_events if e.is_step_failure)
    said = event.step_failure_data.user_failure_data
    assert said is not None
    return said.description


@pytest.mark.slow
def test_a_passing_fault_is_retried_and_the_log_shows_every_attempt() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=2, retries=5, deadline=60)
    assert result.success
    assert attempts == 3
    assert waits_of(result) == [0.2, 0.2]


@pytest.mark.slow
def test_a_lasting_fault_is_retried_so_often_and_no_more() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=99, retries=2, deadline=60)
    assert attempts == 3
    assert description(result) == f"busy. Given up after 3 attempts: TAXI_RETRIES is 2. {REMEDY}"
    # What the UI shows of it first.
    (failed,) = [e for e in result.all_events if e.is_step_failure]
    error = failed.step_failure_data.error
    assert error is not None
    assert "busy. Given up" in error.message.splitlines()[0]


def test_the_last_attempt_says_so_in_its_first_line_whatever_the_error_is() -> None:
    error = TransientStoreError("busy\nfor a while")
    result, attempts = run_failing(error, failures=99, retries=0, deadline=60)
    assert attempts == 1
    assert description(result) == (
        f"busy for a while. Given up after 1 attempt: TAXI_RETRIES is 0. {REMEDY}"
    )


def waits_of(result: ExecuteInProcessResult) -> list[float | None]:
    return [
        event.step_retry_data.seconds_to_wait
        for event in result.all_events
        if event.event_type is DagsterEventType.STEP_UP_FOR_RETRY
    ]


@pytest.mark.slow
def test_a_server_that_says_when_to_come_back_is_asked_then() -> None:
    error = TransientStoreError("busy", retry_after=0.7)
    result, attempts = run_failing(error, failures=1, retries=2, deadline=60)
    assert result.success
    assert (waits_of(result), attempts) == ([0.7], 2)
    # Not earlier than otherwise.
    error = TransientStoreError("busy", retry_after=0)
    assert waits_of(run_failing(error, failures=1, retries=2, deadline=60)[0]) == [0.2]


def test_a_server_that_wants_to_be_left_alone_for_long_is_left_alone() -> None:
    error = TransientStoreError("busy", retry_after=7_200)
    result, attempts = run_failing(error, failures=99, retries=5, deadline=60)
    assert attempts == 1
    assert "the server asks to wait 7,200 s, longer than TAXI_RETRY_DEADLINE_SECONDS, 60" in (
        description(result)
    )
    assert failed_with(result) == "transient"


def failed_with(result: ExecuteInProcessResult) -> object:
    """The kind of the fault, by which sensors decide whether to try again."""
    event = next(e for e in result.all_events if e.is_step_failure)
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return data.metadata["fault"].value


@pytest.mark.slow
def test_past_the_deadline_there_are_no_more_attempts() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=99, retries=50, deadline=1)
    assert 2 <= attempts < 20
    assert description(result) == (
        f"busy. Given up after {attempts} attempts: TAXI_RETRY_DEADLINE_SECONDS is 1. {REMEDY}"
    )


@pytest.mark.parametrize("error", [PermanentStoreError("no such bucket"), KeyError("a bug")])
def test_what_does_not_pass_is_not_tried_again(error: Exception) -> None:
    result, attempts = run_failing(error, failures=99, retries=5, deadline=60)
    assert attempts == 1
    assert str(error) in description(result)


def test_every_trip_asset_has_a_growing_jittered_wait_and_a_deadline() -> None:
    for trips in trip_assets(load_settings()):
        policy = trips.op.retry_policy
        assert policy is not None
        assert policy.backoff is not None
        assert policy.jitter is not None
        assert float(trips.op.tags[RETRY_DEADLINE_TAG]) > 0
