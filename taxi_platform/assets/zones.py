"""The zone lookup: one small asset without partitions."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from dagster import AssetExecutionContext, AssetsDefinition, AutomationCondition, Output, asset

from taxi_platform.assets.keys import ZONES
from taxi_platform.assets.retries import retried
from taxi_platform.assets.trips import OWNERS
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.io_managers.metadata import source_metadata
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.settings import Settings
from taxi_platform.trips.zones import parse_zones


def taxi_zones(
    context: AssetExecutionContext, source: TripSourceResource
) -> Iterator[Output[pa.Table]]:
    """The TLC's taxi zones, which the trips' location ids refer to, in every table store.

    Unchanged if the source of the trips has no zone lookup.
    """
    with as_failures(context.asset_key.to_user_string(), context):
        published = source.fetch_zones()
        zones = parse_zones(published) if published is not None else None
    if zones is None:
        context.log.warning(
            f"no zone lookup at {source.zones_address()}: taxi_zones stays unchanged"
        )
    else:
        yield Output(zones, metadata=source_metadata(source.zones_address()))


def _missing_or_a_month_old() -> AutomationCondition[Any]:
    """Requests the zones once if they were never loaded, and then every month.

    Also where the source has no lookup, so that the asset stays missing, it is asked no more often.
    """
    missing = (
        AutomationCondition.missing().newly_true().since(AutomationCondition.newly_requested())
    )
    not_running = ~AutomationCondition.in_progress()
    return (missing & not_running) | AutomationCondition.on_cron("0 6 1 * *", "America/New_York")


def zone_assets(chosen: Settings) -> list[AssetsDefinition]:
    """The zones, in the table stores in use; no asset if there is none."""
    if not chosen.table_stores:
        return []
    zones = asset(
        key=ZONES,
        io_manager_key="zone_tables",
        group_name="warehouse",
        kinds={kind for store in chosen.table_stores for kind in store.kinds},
        owners=OWNERS,
        output_required=False,
        automation_condition=_missing_or_a_month_old(),
        **retried(chosen),
    )
    return [zones(taxi_zones)]
