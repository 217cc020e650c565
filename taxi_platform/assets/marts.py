"""The marts of a month, in each store: one step a store makes them all.

They follow the trips by themselves: a month of trips that is replaced replaces its marts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    AutomationCondition,
    MaterializeResult,
    MetadataValue,
    multi_asset,
)

from taxi_platform.assets.keys import mart_key, mart_stores, table_key
from taxi_platform.assets.retries import retried
from taxi_platform.assets.trips import OWNERS
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.io_managers.metadata import schema_metadata
from taxi_platform.io_managers.tables import described
from taxi_platform.landing.zone import LandingZone
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.loading import ensure_views, month_relations, replace_marts
from taxi_platform.marts.mart import Mart
from taxi_platform.marts.relations import Account
from taxi_platform.partitions import trip_partitions
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType
from taxi_platform.trips.month import TripMonth

GROUP = "marts"


def follows_its_trips() -> AutomationCondition[Any]:
    """Requests a month of a mart when its trips are replaced, and once if it was never made.

    Unlike ``eager()`` in every month, not only in the latest. Months whose trips were loaded before
    there were marts are made when this is evaluated for the first time. A run that loads trips and
    makes their marts requests nothing.
    """
    missing = AutomationCondition.missing() & ~AutomationCondition.any_deps_missing()
    # Not since_last_handled(), which leaves out what is missing at the first evaluation.
    handled = AutomationCondition.newly_requested() | AutomationCondition.newly_updated()
    return (
        (AutomationCondition.any_deps_updated() | missing.newly_true()).since(handled)
        & ~AutomationCondition.any_deps_missing()
        & ~AutomationCondition.any_deps_in_progress()
        & ~AutomationCondition.in_progress()
    ).with_label("follows_its_trips")


def mart_assets(chosen: Settings) -> list[AssetsDefinition]:
    """The marts of a month, in the table stores in use."""
    return [_marts_of(store, chosen) for store in mart_stores(chosen)]


def marts_of_color(color: str) -> list[Mart]:
    """The marts that are made of trips of a color."""
    return [mart for mart in MARTS.values() if mart.is_made_of(color)]


def account_of(zone: LandingZone, month: TripMonth) -> Account | None:
    """What became of the rows of a month's file, if it is in the landing zone."""
    cleaned = zone.find_cleaned_or_none(month)
    if cleaned is None:
        return None
    return Account(cleaned.rows, cleaned.total_cents, cleaned.rejected_by_reason)


def _marts_of(store: StoreType, chosen: Settings) -> AssetsDefinition:
    specs = [_spec(store, mart, chosen) for mart in MARTS.values()]

    def make(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        landing: LandingZoneResource = context.resources.landing
        month = TripMonth.from_key(context.partition_key)
        selected = [m for m in marts_of_color(month.color) if _is_selected(context, store, m)]
        resource: TableStoreResource = getattr(context.resources, store.name)
        assert store.dialect is not None  # noqa: S101 (of the stores that have one)
        with as_failures(month, context), resource.get_store() as opened:
            account = account_of(landing.get_zone(), month)
            given = month_relations(opened, store.dialect, month, account)
            loads = replace_marts(opened, month, given, selected)
            ensure_views(opened, chosen.colors, selected)
        for mart in selected:
            metadata: Mapping[str, MetadataValue] = described(loads[mart.name])
            yield MaterializeResult(asset_key=mart_key(store, mart.name), metadata=metadata)

    return multi_asset(
        name=f"{store.name}_marts",
        specs=specs,
        can_subset=True,
        required_resource_keys={"landing", store.name},
        pool=store.name,
        **retried(chosen),
    )(make)


def _is_selected(context: AssetExecutionContext, store: StoreType, mart: Mart) -> bool:
    return mart_key(store, mart.name) in context.selected_asset_keys


def _spec(store: StoreType, mart: Mart, chosen: Settings) -> AssetSpec:
    return AssetSpec(
        mart_key(store, mart.name),
        deps=[table_key(store)],
        description=f"{mart.description} In {store.label}; the view {mart.name} has all colors.",
        group_name=GROUP,
        kinds={*store.kinds, "sql"},
        owners=OWNERS,
        partitions_def=trip_partitions(chosen),
        # With it and the trips' data version, Dagster knows which marts are out of date.
        code_version=mart.version,
        # Not every color has every mart.
        skippable=True,
        automation_condition=follows_its_trips(),
        metadata={"dagster/column_schema": schema_metadata(mart.schema)},
    ).with_io_manager_key(f"{store.name}_table")
