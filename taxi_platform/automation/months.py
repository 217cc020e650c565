"""What Dagster records about months: which exist, which are loaded, which have a run."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    EventLogRecord,
    RunsFilter,
)

from taxi_platform.assets.keys import RAW, trip_keys
from taxi_platform.assets.records import latest_of_each, metadata_of, synthetic_months
from taxi_platform.io_managers.metadata import CONTENT, SOURCE_VERSION
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth

PARTITION_TAG = "dagster/partition"

VERSION_TAG = "taxi/version"
"""The tag of a run that a sensor requested: the version that it had found."""

A_DAY = 86_400.0

MOST_RUNS = 50
"""Among how many of a month's runs the last of its trips is looked for."""

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def month_keys(chosen: Settings, now: datetime | None = None) -> Sequence[str]:
    """The months that have ended, such as ``2024-01``, oldest first.

    Args:
        chosen: the settings, which define the first month.
        now: by default the current time.
    """
    months = trip_partitions(chosen).get_partitions_def_for_dimension("month")
    return months.get_partition_keys(current_time=now)


def newest_months(chosen: Settings, now: datetime | None = None) -> list[TripMonth]:
    """The newest months (``TAXI_LOOKBACK_MONTHS``) of each color, newest first.

    Args:
        chosen: the settings, which define how many.
        now: by default the current time.
    """
    months = month_keys(chosen, now)[-chosen.lookback_months :]
    return [
        TripMonth.from_key(f"{color}|{month}")
        for month in reversed(months)
        for color in chosen.colors
    ]


def is_due(chosen: Settings, month: TripMonth, now: datetime) -> bool:
    """Whether a month ended so long ago (``TAXI_OVERDUE_DAYS``) that it should be loaded.

    Args:
        chosen: the settings, which define how long.
        month: the month.
        now: with a time zone.
    """
    patience = timedelta(days=chosen.overdue_days)
    return now >= datetime.combine(month.following, datetime.min.time(), UTC) + patience


def require_colors(chosen: Settings, colors: Iterable[str]) -> None:
    """Refuses colors that are not loaded.

    Raises:
        ValueError: one is not; the message says which are.
    """
    if unknown := sorted(set(colors) - set(chosen.colors)):
        raise ValueError(
            f"--color is {unknown[0]!r}: one of {', '.join(chosen.colors)} (TAXI_COLORS)"
        )


@dataclass(frozen=True)
class MonthRecords:
    """Dagster's records of months, for the stores in use.

    Attributes:
        instance: where runs and materializations are recorded.
        chosen: the settings, which define the assets of a month.
    """

    instance: DagsterInstance
    chosen: Settings

    def missing(self, months: Iterable[TripMonth]) -> list[TripMonth]:
        """The months that have an asset that was never materialized, in the given order.

        Synthetic months are missing too, unless the settings choose the synthetic source.
        """
        keys = trip_keys(self.chosen)
        whole = set.intersection(*(self.instance.get_materialized_partitions(k) for k in keys))
        months = list(months)
        synthetic: set[TripMonth] = set()
        if not self.chosen.source_url.is_synthetic:
            loaded = [month for month in months if month.key in whole]
            synthetic = synthetic_months(self.instance, loaded)
        return [month for month in months if month.key not in whole or month in synthetic]

    def running(self, months: Collection[TripMonth]) -> set[TripMonth]:
        """The months that have a queued or running run."""
        if not months:
            return set()
        tags = {PARTITION_TAG: [month.key for month in months]}
        runs = self.instance.get_runs(RunsFilter(statuses=UNFINISHED, tags=tags))
        busy = {run.tags[PARTITION_TAG] for run in runs}
        return {month for month in months if month.key in busy}

    def last_run_failed(self, months: Collection[TripMonth]) -> set[TripMonth]:
        """The months whose last run that ended failed; runs of users' assets alone do not count.

        The stores may have such a month all the same: in the version before.
        """
        keys = [month.key for month in months]
        chosen = RunsFilter(statuses=[DagsterRunStatus.FAILURE], tags={PARTITION_TAG: keys})
        ever = {run.tags[PARTITION_TAG] for run in self.instance.get_runs(chosen)} if keys else ()
        return {month for month in months if month.key in ever and self.failed_run(month)}

    def failed_run(self, month: TripMonth) -> DagsterRun | None:
        """The month's last run that ended, if it failed; runs of users' assets do not count."""
        ours = set(trip_keys(self.chosen))
        ended = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
        chosen = RunsFilter(statuses=ended, tags={PARTITION_TAG: month.key})
        for run in self.instance.get_runs(chosen, limit=MOST_RUNS):
            # A run of a whole job selects nothing.
            if not run.asset_selection or not ours.isdisjoint(run.asset_selection):
                return run if run.status is DagsterRunStatus.FAILURE else None
        return None

    def latest(self, key: AssetKey, month: TripMonth) -> EventLogRecord | None:
        """The latest materialization of a month's asset, None if there is none."""
        return latest_of_each(self.instance, key, [month]).get(month)

    def loaded_version(self, month: TripMonth) -> str | None:
        """The published version from which all assets of a month were materialized.

        None if there is none: an asset is missing, or is older than the latest raw file.
        """
        raw, *others = (self.latest(key, month) for key in trip_keys(self.chosen))
        if raw is None or any(o is None or o.storage_id < raw.storage_id for o in others):
            return None
        return metadata_of(raw).get(SOURCE_VERSION)

    def was_loaded_for_nothing(self, month: TripMonth, now: float | None = None) -> bool:
        """Whether a sensor had a month loaded again within a day, and the content was the same.

        Args:
            month: the month.
            now: in seconds since 1970; by default the current time.
        """
        chosen = AssetRecordsFilter(RAW, asset_partitions=[month.key])
        records = self.instance.fetch_materializations(chosen, limit=2).records
        if len(records) < 2 or records[0].timestamp + A_DAY < (now or time.time()):
            return False
        contents = {metadata_of(record).get(CONTENT) for record in records}
        run = self.instance.get_run_by_id(records[0].run_id)
        by_sensor = run is not None and VERSION_TAG in run.tags
        return by_sensor and len(contents) == 1 and None not in contents
