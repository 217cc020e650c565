"""Errors of stores and files as Dagster's failures: retried where that may help, else not.

The step's retry policy is the one layer that retries: so many times, with growing, jittered waits,
all of it in the run's log. What a policy does not know is a deadline; it is kept here.
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
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth

RETRY_DEADLINE_TAG = "taxi_platform/retry_deadline_seconds"
"""The tag of an asset's op that says how long after its start it may be tried again."""

StepContext = InputContext | OutputContext | AssetExecutionContext | AssetCheckExecutionContext


@contextmanager
def as_failures(subject: object, context: StepContext) -> Iterator[None]:
    """Raises a ``Failure`` that says what failed, and is retried only if that may help.

    Args:
        subject: the month, or the asset that has none.
        context: of the step, which knows its attempts.
    """
    try:
        yield
    except Failure:
        raise
    except TransientStoreError as error:
        gave_up = _past_deadline(context)
        raise Failure(
            f"{error}. {gave_up}" if gave_up else str(error),
            metadata=_facts(subject, "transient"),
            allow_retries=gave_up is None,
        ) from error
    except PermanentStoreError as error:
        raise Failure(
            str(error), metadata=_facts(subject, "permanent"), allow_retries=False
        ) from error
    except (TripFileError, ValueError) as error:
        raise Failure(
            f"{subject}: {error}", metadata=_facts(subject, "permanent"), allow_retries=False
        ) from error
    except Exception as error:
        # A fault of the platform's own: the retry policy would repeat it and hide it.
        raise Failure(
            f"{subject}: unexpected {type(error).__name__}: {error}",
            metadata=_facts(subject, "unexpected"),
            allow_retries=False,
        ) from error


def _past_deadline(context: StepContext) -> str | None:
    """What to say if the step may not be tried again, however many retries are left."""
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


def _facts(subject: object, kind: str) -> dict[str, MetadataValue]:
    return {"partition": MetadataValue.text(str(subject)), "fault": MetadataValue.text(kind)}


def month_of(context: InputContext | OutputContext) -> TripMonth:
    """The month that a run's partition stands for.

    Raises:
        Failure: the run has no partition, or several.
    """
    months = months_of(context)
    if len(months) != 1:
        raise Failure(
            f"one partition a run is needed, such as green|2024-01, but this has {len(months)}: "
            "choose one with --partition, or use a backfill, which makes a run of each",
            allow_retries=False,
        )
    return months[0]


def months_of(context: InputContext | OutputContext) -> list[TripMonth]:
    """The months that a run's partitions stand for, in order.

    Raises:
        Failure: they are partitions of something else.
    """
    keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
    try:
        return sorted(TripMonth.from_key(key) for key in keys)
    except ValueError as error:
        raise Failure(str(error), allow_retries=False) from error
