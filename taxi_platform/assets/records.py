"""What Dagster recorded of materializations."""

from collections.abc import Collection, Mapping
from typing import Any

from dagster import AssetKey, AssetRecordsFilter, DagsterInstance, EventLogRecord

from taxi_platform.assets.keys import RAW
from taxi_platform.io_managers.metadata import SOURCE
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.month import TripMonth

RECORDS_AT_A_TIME = 200


def latest_of_each(
    instance: DagsterInstance, key: AssetKey, months: Collection[TripMonth]
) -> dict[TripMonth, EventLogRecord]:
    """The latest materialization of an asset in each month that has one."""
    wanted = {month.key: month for month in months}
    found: dict[TripMonth, EventLogRecord] = {}
    chosen = AssetRecordsFilter(key, asset_partitions=list(wanted))
    cursor: str | None = None
    limit = min(len(wanted), RECORDS_AT_A_TIME)
    while len(found) < len(wanted):
        page = instance.fetch_materializations(chosen, limit=limit, cursor=cursor)
        for record in page.records:
            if record.partition_key is not None:
                found.setdefault(wanted[record.partition_key], record)
        if not page.has_more:
            break
        cursor = page.cursor
    return found


def metadata_of(record: EventLogRecord) -> Mapping[str, Any]:
    """The values of a materialization's metadata."""
    event = record.asset_materialization
    return {name: entry.value for name, entry in event.metadata.items()} if event else {}


def synthetic_months(
    instance: DagsterInstance, months: Collection[TripMonth] | None = None
) -> set[TripMonth]:
    """The months whose latest file was generated, so that no row of them is real.

    Args:
        instance: where it was recorded.
        months: which to look at; by default all that were ever landed.
    """
    if months is None:
        months = list(map(TripMonth.from_key, instance.get_materialized_partitions(RAW)))
    latest = latest_of_each(instance, RAW, months)
    return {m for m, record in latest.items() if is_synthetic(metadata_of(record).get(SOURCE))}
