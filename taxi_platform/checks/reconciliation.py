"""Checks that each copy of a month is the whole month: object, BigQuery and Postgres.

They ask the stores themselves, and not what a materialization said of them. A copy that differs
fails its run, and what is built on it is not built.
"""

from collections.abc import Mapping
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetIn,
    AssetsDefinition,
    MetadataValue,
    multi_asset_check,
)

from taxi_platform.assets.trips import (
    RETRIES,
    RETRY_DEADLINE,
    bigquery_trips,
    cleaned_trips,
    gcs_trips,
    postgres_trips,
)
from taxi_platform.checks.specs import blocking_spec
from taxi_platform.io_managers.failures import failing_clearly
from taxi_platform.landing.files import TripParquet
from taxi_platform.resources.bigquery import TripBigQueryResource
from taxi_platform.resources.postgres import PostgresResource
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals

OBJECT_CHECK = "object_is_the_cleaned_file"
TABLE_CHECK = "table_holds_the_cleaned_month"


def _reconciliation(
    asset: AssetsDefinition, made_from: AssetsDefinition, check: str, description: str
) -> Mapping[str, Any]:
    return {
        "name": f"{asset.key.to_python_identifier()}_{check}",
        "specs": [blocking_spec(check, asset, description, [made_from])],
        "retry_policy": RETRIES,
        "op_tags": RETRY_DEADLINE,
    }


@multi_asset_check(
    **_reconciliation(
        gcs_trips,
        cleaned_trips,
        OBJECT_CHECK,
        "The object has the size and the CRC32C of the local file.",
    ),
    ins={"trips": AssetIn(cleaned_trips.key), "stored": AssetIn(gcs_trips.key)},
)
def gcs_trips_check(trips: TripParquet, stored: TripObject) -> AssetCheckResult:
    """Compares the object with the cleaned file."""
    differences = []
    if stored.size != trips.size:
        differences.append(f"{stored.size:,} bytes instead of {trips.size:,}")
    if stored.crc32c != (expected := trips.crc32c):
        differences.append(f"CRC32C {stored.crc32c} instead of {expected}")
    return _result(gcs_trips, OBJECT_CHECK, trips.month, differences, stored.totals)


@multi_asset_check(
    **_reconciliation(
        bigquery_trips,
        gcs_trips,
        TABLE_CHECK,
        "The partition has the rows of the object and the same sum of each amount.",
    ),
    ins={"stored": AssetIn(gcs_trips.key)},
)
def bigquery_trips_check(
    context: AssetCheckExecutionContext, stored: TripObject, bigquery: TripBigQueryResource
) -> AssetCheckResult:
    """Compares the partition in BigQuery with its object."""
    month = stored.month
    with failing_clearly(month, context), bigquery.get_tables() as tables:
        found = tables.totals(month)
    differences = found.differences(stored.totals)
    return _result(bigquery_trips, TABLE_CHECK, month, differences, found)


@multi_asset_check(
    **_reconciliation(
        postgres_trips,
        cleaned_trips,
        TABLE_CHECK,
        "The child table has the rows of the cleaned file and the same sum of each amount.",
    ),
    ins={"trips": AssetIn(cleaned_trips.key)},
)
def postgres_trips_check(
    context: AssetCheckExecutionContext, trips: TripParquet, postgres: PostgresResource
) -> AssetCheckResult:
    """Compares the month in Postgres with the cleaned file."""
    with failing_clearly(trips.month, context):
        found = postgres.get_tables().totals(trips.month)
    differences = found.differences(trips.totals)
    return _result(postgres_trips, TABLE_CHECK, trips.month, differences, found)


def _result(
    asset: AssetsDefinition,
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
        asset_key=asset.key,
        check_name=check,
        passed=not differences,
        metadata=metadata,
        description=(
            f"{month}: {'; '.join(differences)}: materialize {asset.key.to_user_string()} for this "
            "partition again"
            if differences
            else None
        ),
    )


RECONCILIATIONS = [gcs_trips_check, bigquery_trips_check, postgres_trips_check]
