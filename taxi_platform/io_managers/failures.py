"""Errors of stores and files as Dagster's failures: retried where that may help, else not."""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster import Failure, InputContext, MetadataValue, OutputContext

from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth


@contextmanager
def failing_clearly(subject: object) -> Iterator[None]:
    """Raises a ``Failure`` that says what failed, and is retried only if that may help.

    Args:
        subject: the month, or the asset that has none.
    """
    try:
        yield
    except Failure:
        raise
    except TransientStoreError as error:
        raise Failure(str(error), metadata=_facts(subject, "transient")) from error
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


def _facts(subject: object, kind: str) -> dict[str, MetadataValue]:
    return {"partition": MetadataValue.text(str(subject)), "fault": MetadataValue.text(kind)}


def month_of(context: InputContext | OutputContext) -> TripMonth:
    """The month that a run's partition stands for.

    Raises:
        Failure: the run has no partition, or several.
    """
    keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
    if len(keys) != 1:
        raise Failure(
            f"one partition a run is needed, such as green|2024-01, but this has {len(keys)}: "
            "choose one with --partition, or use a backfill, which makes a run of each",
            allow_retries=False,
        )
    return TripMonth.from_key(keys[0])
