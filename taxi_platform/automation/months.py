"""What Dagster knows of months: which there are, which are loaded, which are on their way."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
    DagsterRunStatus,
    EventLogRecord,
    RunsFilter,
)

from taxi_platform.assets.trips import TRIP_ASSETS
from taxi_platform.io_managers.files import SOURCE_VERSION
from taxi_platform.partitions import trip_partitions
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.types import default_colors

PARTITION_TAG = "dagster/partition"

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

ASSET_KEYS: Sequence[AssetKey] = [asset.key for asset in TRIP_ASSETS]


def newest_months(count: int, now: datetime | None = None) -> list[TripMonth]:
    """The newest months that have ended, of each color, the newest first.

    Args:
        count: how many months of each color.
        now: by default the present.
    """
    dimension = trip_partitions.get_partitions_def_for_dimension("month")
    months = dimension.get_partition_keys(current_time=now)[-count:]
    return [
        TripMonth.from_key(f"{color}|{month}")
        for month in reversed(months)
        for color in default_colors()
    ]


def missing_months(instance: DagsterInstance, months: Iterable[TripMonth]) -> list[TripMonth]:
    """Those of the months of which an asset was never materialized, in the order given."""
    whole = set.intersection(*(instance.get_materialized_partitions(key) for key in ASSET_KEYS))
    return [month for month in months if month.key not in whole]


def months_on_their_way(instance: DagsterInstance, months: Collection[TripMonth]) -> set[TripMonth]:
    """Those of the months that a run has in hand, or that wait for one in the queue."""
    if not months:
        return set()
    runs = instance.get_runs(
        RunsFilter(statuses=UNFINISHED, tags={PARTITION_TAG: [month.key for month in months]})
    )
    busy = {run.tags[PARTITION_TAG] for run in runs}
    return {month for month in months if month.key in busy}


def latest_materialization(
    instance: DagsterInstance, key: AssetKey, month: TripMonth
) -> EventLogRecord | None:
    """The latest materialization of a month's asset, None if there is none."""
    chosen = AssetRecordsFilter(key, asset_partitions=[month.key])
    return next(iter(instance.fetch_materializations(chosen, limit=1).records), None)


def metadata_of(record: EventLogRecord) -> Mapping[str, Any]:
    """The plain values of a materialization's metadata."""
    event = record.asset_materialization
    return {name: entry.value for name, entry in event.metadata.items()} if event else {}


def loaded_version(instance: DagsterInstance, month: TripMonth) -> str | None:
    """The published version that a month is loaded from, the whole way.

    None if it is not: an asset is missing, or is older than the published file that was landed
    last.
    """
    raw, *others = (latest_materialization(instance, key, month) for key in ASSET_KEYS)
    if raw is None or any(o is None or o.storage_id < raw.storage_id for o in others):
        return None
    return metadata_of(raw).get(SOURCE_VERSION)
