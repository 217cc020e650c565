"""Maps errors of stores and files to Dagster's failures: transient ones are retried, others not.

The step's retry policy is the only layer that retries. It has a maximum number of retries and
growing, jittered waits, all in the run's log. It has no deadline; the deadline is implemented here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from dagster import (
    AssetCheckExecutionContext,
    AssetExecutionContext,
    Failure,
    InputContext,
    MetadataValue,
    OutputContext,
    RetryPolicy,
    RetryRequested,
)

from taxi_platform.dagster_internals import StepExecutionContext
from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.safe_texts import safe_error, safe_line, safe_text
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth

RETRY_DEADLINE_TAG = "taxi_platform/retry_deadline_seconds"
"""The tag of an asset's op with the seconds after its start when it is no longer retried."""

StepContext = InputContext | OutputContext | AssetExecutionContext | AssetCheckExecutionContext


@contextmanager
def as_failures(subject: object, context: StepContext) -> Iterator[None]:
    """Raises a ``Failure`` that says what failed; it is retried only after a transient fault.

    Args:
        subject: the month, or an asset without partitions.
        context: of the step, with its attempts.
    """
    try:
        yield
    except Failure:
        raise
    except TransientStoreError as error:
        _raise_transient(error, subject, context)
    except PermanentStoreError as error:
        raise _failure(error, subject, "permanent") from safe_error(error)
    except (TripFileError, ValueError) as error:
        raise _failure(f"{subject}: {error}", subject, "permanent") from safe_error(error)
    except Exception as error:  # noqa: BLE001 (it is raised as a failure)
        # A bug in the platform: retries would repeat it and hide it.
        said = f"{subject}: unexpected {type(error).__name__}: {error}"
        raise _failure(said, subject, "unexpected") from safe_error(error)


def _failure(said: object, subject: object, fault: str, *, is_retried: bool = False) -> Failure:
    return Failure(
        safe_text(said),
        metadata={
            "partition": MetadataValue.text(str(subject)),
            "fault": MetadataValue.text(fault),
            "once_the_cause_is_fixed": MetadataValue.text(next_step(subject)),
        },
        allow_retries=is_retried,
    )


def _raise_transient(error: TransientStoreError, subject: object, context: StepContext) -> NoReturn:
    """Raises what has the step retried, or fails it if that was the last attempt.

    After its last attempt Dagster would say no more than "Exceeded max_retries".
    """
    step = _step_of(context)
    policy = step.op_retry_policy
    gave_up = _why_given_up(step, policy, error.retry_after or 0)
    if gave_up:
        said = f"{safe_line(error)}. {gave_up}. Once the cause is fixed: {next_step(subject)}"
        raise _failure(said, subject, "transient") from safe_error(error)
    failure = _failure(error, subject, "transient", is_retried=True)
    failure.__cause__ = safe_error(error)
    if policy is None or error.retry_after is None:
        raise failure
    wait = max(error.retry_after, policy.calculate_delay(step.previous_attempt_count + 1))
    raise RetryRequested(policy.max_retries, wait) from failure


def _step_of(context: StepContext) -> StepExecutionContext:
    if isinstance(context, InputContext | OutputContext):
        return context.step_context
    return context.get_step_execution_context()


def _why_given_up(
    step: StepExecutionContext, policy: RetryPolicy | None, wait: float
) -> str | None:
    """Why the step is not retried after so many seconds, None if it is."""
    attempts = step.previous_attempt_count + 1
    gave_up = f"Given up after {attempts} attempt{'s' if attempts > 1 else ''}"
    if policy is not None and attempts > policy.max_retries:
        return f"{gave_up}: TAXI_RETRIES is {policy.max_retries}"
    tag = step.op_def.tags.get(RETRY_DEADLINE_TAG)
    if tag is None:
        return None
    deadline = float(tag)
    if wait > deadline:
        return (
            f"{gave_up}: the server asks to wait {wait:,.0f} s, longer than "
            f"TAXI_RETRY_DEADLINE_SECONDS, {deadline:,.0f}"
        )
    if attempts > 1 and _seconds_since_start(step) + wait >= deadline:
        return f"{gave_up}: TAXI_RETRY_DEADLINE_SECONDS is {deadline:,.0f}"
    return None


def _seconds_since_start(step: StepExecutionContext) -> float:
    stats = step.instance.get_run_step_stats(step.run_id, [step.step.key])
    started = stats[0].start_time if stats else None
    return 0.0 if started is None else time.time() - started


def next_step(subject: object) -> str:
    """The command that loads a month again; for other subjects, what to do."""
    try:
        month = TripMonth.from_key(str(subject))
    except ValueError:
        return f"materialize {subject} again"
    when = month.year_month
    return f"taxi-platform backfill --color {month.color} --from {when} --to {when}"


def month_of(context: InputContext | OutputContext) -> TripMonth:
    """The month of a run's partition.

    Raises:
        Failure: the run has no partition, or several.
    """
    months = months_of(context)
    if len(months) != 1:
        raise Failure(
            f"one partition per run is needed, such as green|2024-01, but this has {len(months)}: "
            "choose one with --partition, or use a backfill, which makes one run per partition",
            allow_retries=False,
        )
    return months[0]


def months_of(context: InputContext | OutputContext) -> list[TripMonth]:
    """The months of a run's partitions, in order.

    Raises:
        Failure: their keys are not a color and a month.
    """
    keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
    try:
        return sorted(TripMonth.from_key(key) for key in keys)
    except ValueError as error:
        raise Failure(str(error), allow_retries=False) from error
