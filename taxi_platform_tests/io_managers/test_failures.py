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


def test_a_passing_fault_is_retried_and_the_log_shows_every_attempt() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=2, retries=5, deadline=60)
    assert result.success
    assert attempts == 3
    waits = [
        event.step_retry_data.seconds_to_wait
        for event in result.all_events
        if event.event_type is DagsterEventType.STEP_UP_FOR_RETRY
    ]
    assert waits == [0.2, 0.2]


def test_a_lasting_fault_is_retried_so_often_and_no_more() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=99, retries=2, deadline=60)
    assert attempts == 3
    assert description(result) == "busy"


def test_past_the_deadline_there_are_no_more_attempts() -> None:
    result, attempts = run_failing(TransientStoreError("busy"), failures=99, retries=50, deadline=1)
    assert 2 <= attempts < 20
    assert description(result) == (
        f"busy. Given up after {attempts} attempts: TAXI_RETRY_DEADLINE_SECONDS is 1"
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
