"""What Dagster knows of months: which there are, which are loaded, which have a run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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

from taxi_platform.assets.keys import trip_keys
from taxi_platform.io_managers.metadata import SOURCE_VERSION
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth

PARTITION_TAG = "dagster/partition"

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def month_keys(chosen: Settings, now: datetime | None = None) -> Sequence[str]:
    """The months that have ended, such as ``2024-01``, from the first one on.

    Args:
        chosen: the settings, which say where they begin.
        now: by default the present.
    """
    months = trip_partitions(chosen).get_partitions_def_for_dimension("month")
    return months.get_partition_keys(current_time=now)


def newest_months(chosen: Settings, now: datetime | None = None) -> list[TripMonth]:
    """The months of the look-back window, of each color, the newest first.

    Args:
        chosen: the settings, which say how many.
        now: by default the present.
    """
    months = month_keys(chosen, now)[-chosen.lookback_months :]
    return [
        TripMonth.from_key(f"{color}|{month}")
        for month in reversed(months)
        for color in chosen.colors
    ]


@dataclass(frozen=True)
class MonthRecords:
    """What is recorded of months, for the stores of the settings.

    Attributes:
        instance: where runs and materializations are recorded.
        chosen: the settings, which say what a whole month is.
    """

    instance: DagsterInstance
    chosen: Settings

    def missing(self, months: Iterable[TripMonth]) -> list[TripMonth]:
        """Those of the months of which an asset was never materialized, in the order given."""
        keys = trip_keys(self.chosen)
        whole = set.intersection(*(self.instance.get_materialized_partitions(k) for k in keys))
        return [month for month in months if month.key not in whole]

    def running(self, months: Collection[TripMonth]) -> set[TripMonth]:
        """Those of the months that have a run, or one that waits in the queue."""
        if not months:
            return set()
        tags = {PARTITION_TAG: [month.key for month in months]}
        runs = self.instance.get_runs(RunsFilter(statuses=UNFINISHED, tags=tags))
        busy = {run.tags[PARTITION_TAG] for run in runs}
        return {month for month in months if month.key in busy}

    def latest(self, key: AssetKey, month: TripMonth) -> EventLogRecord | None:
        """The latest materialization of a month's asset, None if there is none."""
        chosen = AssetRecordsFilter(key, asset_partitions=[month.key])
        return next(iter(self.instance.fetch_materializations(chosen, limit=1).records), None)

    def loaded_version(self, month: TripMonth) -> str | None:
        """The published version that a month is loaded from, the whole way.

        None if it is not: an asset is missing, or is older than the published file that was
        landed last.
        """
        raw, *others = (self.latest(key, month) for key in trip_keys(self.chosen))
        if raw is None or any(o is None or o.storage_id < raw.storage_id for o in others):
            return None
        return metadata_of(raw).get(SOURCE_VERSION)


def metadata_of(record: EventLogRecord) -> Mapping[str, Any]:
    """The plain values of a materialization's metadata."""
    event = record.asset_materialization
    return {name: entry.value for name, entry in event.metadata.items()} if event else {}
