"""Maps errors of stores and files to Dagster's failures: transient ones are retried, others not.

The step's retry policy is the only layer that retries. It has a maximum number of retries and
growing, jittered waits, all in the run's log. It has no deadline; the deadline is implemented here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import (
    AssetCheckExecutionContext,
    AssetExecutionContext,
    Failure,
    InputContext,
    MetadataValue,
    OutputContext,
)

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.safe_texts import safe_error, safe_text
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
        raise _transient(error, subject, context) from safe_error(error)
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
        },
        allow_retries=is_retried,
    )


def _transient(error: TransientStoreError, subject: object, context: StepContext) -> Failure:
    gave_up = _past_deadline(context)
    said = f"{error}. {gave_up}" if gave_up else error
    return _failure(said, subject, "transient", is_retried=gave_up is None)


def _past_deadline(context: StepContext) -> str | None:
    """The message if the deadline has passed and the step is no longer retried, else None."""
    if isinstance(context, InputContext | OutputContext):
        step = context.step_context
    else:
        step = context.get_step_execution_context()
    deadline = step.op_def.tags.get(RETRY_DEADLINE_TAG)
    if deadline is None or step.previous_attempt_count == 0:
        return None
    stats = step.instance.get_run_step_stats(step.run_id, [step.step.key])
    started = stats[0].start_time if stats else None
    if started is None or time.time() - started < float(deadline):
        return None
    return (
        f"Given up after {step.previous_attempt_count + 1} attempts: TAXI_RETRY_DEADLINE_SECONDS "
        f"is {float(deadline):,.0f}"
    )


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
