"""Checks of a month's marts: their sums are those of the trips, and all stores hold the same."""

from collections.abc import Callable, Iterator
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    MetadataValue,
    multi_asset_check,
)

from taxi_platform.assets.keys import mart_key, mart_stores, table_key
from taxi_platform.assets.marts import account_of, marts_of_color
from taxi_platform.assets.retries import retried
from taxi_platform.checks.specs import month_spec
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.marts.checking import fingerprints, same_trips, unlike, wrong_sums
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.loading import month_relations
from taxi_platform.marts.mart import Mart
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType
from taxi_platform.trips.month import TripMonth

SUMS_CHECK = "adds_up_to_the_trips"
SAME_CHECK = "same_in_all_stores"


def mart_checks(chosen: Settings) -> list[AssetChecksDefinition]:
    """The checks of the marts, in the table stores in use."""
    stores = mart_stores(chosen)
    found = [_sums_check(store, chosen) for store in stores]
    return [*found, *(_same_check(stores[0], other, chosen) for other in stores[1:])]


def _sums_check(store: StoreType, chosen: Settings) -> AssetChecksDefinition:
    def check(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        landing: LandingZoneResource = context.resources.landing
        month = TripMonth.from_key(context.partition_key)
        marts = _selected(context, store, month)
        resource: TableStoreResource = getattr(context.resources, store.name)
        assert store.dialect is not None  # noqa: S101 (of the stores that have one)
        with as_failures(month, context), resource.get_store() as opened:
            account = account_of(landing.get_zone(), month)
            given = month_relations(opened, store.dialect, month, account)
            differences = wrong_sums(opened, month, given, marts)
        for mart in marts:
            yield _result(store, mart, SUMS_CHECK, month, differences[mart.name])

    return _checks(
        store,
        chosen,
        SUMS_CHECK,
        "The sums of the mart's columns over its rows are those of the month's trips in "
        f"{store.label}: trips, passengers, miles, seconds, cents.",
        check,
        {"landing", store.name},
    )


def _same_check(first: StoreType, other: StoreType, chosen: Settings) -> AssetChecksDefinition:
    def check(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        month = TripMonth.from_key(context.partition_key)
        marts = _selected(context, other, month)
        resources: list[TableStoreResource] = [
            getattr(context.resources, store.name) for store in (first, other)
        ]
        differences: dict[str, list[str]] = {}
        assert first.dialect is not None  # noqa: S101 (of the stores that have one)
        assert other.dialect is not None  # noqa: S101
        with (
            as_failures(month, context),
            resources[0].get_store() as ours,
            resources[1].get_store() as theirs,
        ):
            # A store that was loaded alone has another version until the others are loaded too.
            comparable = same_trips(ours, theirs, month)
            if comparable:
                here = fingerprints(ours, first.dialect, month, marts)
                there = fingerprints(theirs, other.dialect, month, marts)
                # Only what may differ is fetched.
                suspects = [mart for mart in marts if here[mart.name] != there[mart.name]]
                differences = {mart.name: unlike(ours, theirs, month, mart) for mart in suspects}
        for mart in marts:
            found = differences.get(mart.name, [])
            compared = (
                "by the digests of their rows"
                if comparable
                else "not: the trips are of other versions"
            )
            yield _result(other, mart, SAME_CHECK, month, found, compared=compared)

    return _checks(
        other,
        chosen,
        SAME_CHECK,
        f"The mart has the same rows in {first.label} and {other.label}, if both hold the same "
        "version of the trips.",
        check,
        {first.name, other.name},
        also=first,
    )


def _checks(
    store: StoreType,
    chosen: Settings,
    name: str,
    description: str,
    check: Callable[..., Iterator[AssetCheckResult]],
    resources: set[str],
    also: StoreType | None = None,
) -> AssetChecksDefinition:
    def compared_with(mart: Mart) -> list[Any]:
        return [table_key(store)] if also is None else [mart_key(also, mart.name)]

    return multi_asset_check(
        name=f"{store.name}_marts_{name}",
        specs=[
            month_spec(chosen, name, mart_key(store, mart.name), description, compared_with(mart))
            for mart in MARTS.values()
        ],
        can_subset=True,
        required_resource_keys=resources,
        **retried(chosen),
    )(check)


def _selected(
    context: AssetCheckExecutionContext, store: StoreType, month: TripMonth
) -> list[Mart]:
    selected = {key.asset_key for key in context.selected_asset_check_keys}
    return [m for m in marts_of_color(month.color) if mart_key(store, m.name) in selected]


def _result(
    store: StoreType,
    mart: Mart,
    check: str,
    month: TripMonth,
    differences: list[str],
    **metadata: str,
) -> AssetCheckResult:
    key = mart_key(store, mart.name)
    return AssetCheckResult(
        asset_key=key,
        check_name=check,
        passed=not differences,
        metadata={
            "partition": MetadataValue.text(month.key),
            **({"differences": MetadataValue.json(differences)} if differences else {}),
            **metadata,
        },
        description=(
            f"{month}: {'; '.join(differences)}: materialize {key.to_user_string()} for this "
            "partition again"
            if differences
            else None
        ),
    )
