"""Checks that each copy of a month is complete: the object, and the month in every store.

They query the stores themselves instead of using the metadata of materializations. A copy that
differs fails its run, and downstream assets are not materialized.
"""

from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetIn,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)

from taxi_platform.assets.keys import CLEANED, GCS, source_key, table_key
from taxi_platform.assets.retries import retried
from taxi_platform.checks.cleaned import cleaned_checks
from taxi_platform.checks.specs import month_spec
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.landing.files import TripParquet
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals

OBJECT_CHECK = "object_is_the_cleaned_file"
TABLE_CHECK = "table_holds_the_cleaned_month"


def gcs_trips_check(trips: TripParquet, stored: TripObject) -> AssetCheckResult:
    """Compares the object with the cleaned file."""
    differences = []
    if stored.size != trips.size:
        differences.append(f"{stored.size:,} bytes instead of {trips.size:,}")
    if stored.crc32c != trips.crc32c:
        differences.append(f"CRC32C {stored.crc32c} instead of {trips.crc32c}")
    return _result(GCS, OBJECT_CHECK, trips.month, differences, stored.totals)


def trip_checks(chosen: Settings) -> list[AssetChecksDefinition]:
    """Every check of a month, for the cleaned file and each store in use."""
    found = [cleaned_checks(chosen)]
    if chosen.uses_gcs:
        found.append(_gcs_check(chosen))
    return [*found, *(_table_check(store, chosen) for store in chosen.table_stores)]


def _gcs_check(chosen: Settings) -> AssetChecksDefinition:
    description = "The object has the size and the CRC32C of the local file."
    return multi_asset_check(
        name=_step_of(GCS, OBJECT_CHECK),
        specs=[month_spec(chosen, OBJECT_CHECK, GCS, description, [CLEANED])],
        ins={"trips": AssetIn(CLEANED), "stored": AssetIn(GCS)},
        **retried(chosen),
    )(gcs_trips_check)


def _table_check(store: StoreType, chosen: Settings) -> AssetChecksDefinition:
    key, source = table_key(store), source_key(store)
    description = (
        f"The month in {store.label} has the rows of {source.to_user_string()} and the same sum of "
        "each amount."
    )

    def check(context: AssetCheckExecutionContext, trips: Any) -> AssetCheckResult:
        month: TripMonth = trips.month
        resource: TableStoreResource = getattr(context.resources, store.name)
        with as_failures(month, context), resource.get_store() as opened:
            found = opened.totals(month)
        return _result(key, TABLE_CHECK, month, found.differences(trips.totals), found)

    check.__annotations__["trips"] = store.reads
    return multi_asset_check(
        name=_step_of(key, TABLE_CHECK),
        specs=[month_spec(chosen, TABLE_CHECK, key, description, [source])],
        ins={"trips": AssetIn(source)},
        required_resource_keys={store.name},
        **retried(chosen),
    )(check)


def _step_of(asset: AssetKey, check: str) -> str:
    """The name of the check's step in runs and alerts, as Dagster would name it."""
    return f"{asset.to_python_identifier()}_{check}"


def _result(
    asset: AssetKey,
    check: str,
    month: TripMonth,
    differences: list[str],
    found: MonthTotals,
) -> AssetCheckResult:
    metadata: dict[str, Any] = {
        "partition": MetadataValue.text(month.key),
        "rows": found.rows,
        "cents": MetadataValue.json(dict(found.cents)),
    }
    if differences:
        metadata["differences"] = MetadataValue.json(differences)
    return AssetCheckResult(
        asset_key=asset,
        check_name=check,
        passed=not differences,
        metadata=metadata,
        description=(
            f"{month}: {'; '.join(differences)}: materialize {asset.to_user_string()} for this "
            "partition again"
            if differences
            else None
        ),
    )
