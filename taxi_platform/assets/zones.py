"""The zone lookup: one small asset without partitions."""

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from dagster import (
    AssetExecutionContext,
    AssetObservation,
    AssetsDefinition,
    AutomationCondition,
    Output,
    asset,
)

from taxi_platform.assets.keys import ZONES
from taxi_platform.assets.retries import retried
from taxi_platform.assets.trips import OWNERS
from taxi_platform.errors import StoreError
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.io_managers.metadata import source_metadata
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.safe_texts import safe_line
from taxi_platform.settings import Settings
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.zone_shapes import parse_zone_shapes
from taxi_platform.trips.zones import parse_zones

FRESH_SECONDS = 30 * 86_400.0
"""A month's run leaves zones alone that were loaded so lately."""


def taxi_zones(
    context: AssetExecutionContext, source: TripSourceResource
) -> Iterator[Output[pa.Table] | AssetObservation]:
    """The TLC's taxi zones, which the trips' location ids refer to, in every table store.

    With their outlines, if the source has them beside the lookup.

    Unchanged if the source of the trips has no zone lookup. In a month's run, also unchanged if
    they were loaded within 30 days, and if the source cannot be reached: the month matters more.
    """
    in_months_run = context.has_partition_key
    if in_months_run and _are_fresh(context):
        context.log.info("taxi_zones were loaded within 30 days: unchanged")
        return
    zones, why = None, f"no zone lookup at {source.zones_address()}"
    with as_failures(context.asset_key.to_user_string(), context):
        try:
            published = source.fetch_zones()
            zones = _parsed(published, source) if published is not None else None
        except (StoreError, TripFileError) as error:
            if not in_months_run:
                raise
            why = safe_line(error)
    if zones is None:
        yield _unchanged(context, why)
    else:
        yield Output(zones, metadata=source_metadata(source.zones_address()))


def _parsed(lookup: bytes, source: TripSourceResource) -> pa.Table:
    shapes = source.fetch_zone_shapes()
    return parse_zones(lookup, parse_zone_shapes(shapes) if shapes is not None else None)


def _are_fresh(context: AssetExecutionContext) -> bool:
    event = context.instance.get_latest_materialization_event(ZONES)
    return event is not None and event.timestamp > time.time() - FRESH_SECONDS


def _unchanged(context: AssetExecutionContext, why: str) -> AssetObservation:
    """What the asset's page shows if there is nothing to load."""
    said = f"{why}: taxi_zones stays unchanged"
    context.log.warning(said)
    return AssetObservation(ZONES, description=said, metadata={"unchanged": said})


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
