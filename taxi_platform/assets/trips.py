"""The five assets of a month of trips.

raw_trips -> cleaned_trips -> gcs_trips -> bigquery_trips, and cleaned_trips -> postgres_trips.
Each value is handed to the asset's IO manager, which alone meets the store.
"""

from typing import Any, Literal

from dagster import AssetExecutionContext, Backoff, Config, Jitter, RetryPolicy, asset
from pydantic import Field

from taxi_platform.io_managers.failures import RETRY_DEADLINE_TAG, failing_clearly
from taxi_platform.landing.files import RawFile, TripParquet
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import settings
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.trips.cleaning import CleanedTrips, CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth

OWNERS = ["team:data-platform"]

# The one layer that retries: stores and clients do not.
RETRIES = RetryPolicy(
    max_retries=settings().retries,
    delay=settings().retry_seconds,
    backoff=Backoff.EXPONENTIAL,
    jitter=Jitter.PLUS_MINUS,
)

RETRY_DEADLINE = {RETRY_DEADLINE_TAG: str(settings().retry_deadline_seconds)}

# How many runs may ask each at once: dagster.yaml says, or `dagster instance concurrency set`.
SOURCE_POOL, BIGQUERY_POOL, POSTGRES_POOL = "source", "bigquery", "postgres"

COMMON: dict[str, Any] = {
    "partitions_def": trip_partitions,
    "owners": OWNERS,
    "retry_policy": RETRIES,
    "op_tags": RETRY_DEADLINE,
}


class CleaningConfig(Config):
    """How a month is cleaned; the launchpad shows it."""

    rules: list[str] | None = Field(
        default=None, description="Names of the rules to apply; by default those on by default."
    )
    days_outside_month: int = Field(
        default=7,
        ge=0,
        le=36_500,
        description="How many days outside the file's month a pickup may lie.",
    )
    missing_passenger_count: Literal["zero", "keep"] = Field(
        default="zero", description="Write 0 for a missing passenger count, or keep it null."
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of rejected rows, 0 to 1, above which the month fails.",
    )

    def options(self) -> CleaningOptions:
        """The same, as the cleaning takes it."""
        return CleaningOptions(
            rules=tuple(self.rules) if self.rules is not None else None,
            days_outside_month=self.days_outside_month,
            missing_passenger_count=self.missing_passenger_count,
            max_rejected_share=self.max_rejected_share,
        )


@asset(
    io_manager_key="raw_file",
    group_name="trips",
    kinds={"http", "file"},
    pool=SOURCE_POOL,
    **COMMON,
)
def raw_trips(context: AssetExecutionContext) -> TripMonth:
    """The month's file as the TLC published it, byte for byte, landed on local disk.

    It is verified to be a whole trip file before it takes the place of an earlier download.
    """
    return TripMonth.from_key(context.partition_key)


@asset(io_manager_key="trip_parquet", group_name="trips", kinds={"pyarrow", "parquet"}, **COMMON)
def cleaned_trips(
    context: AssetExecutionContext, raw_trips: RawFile, config: CleaningConfig
) -> CleanedTrips:
    """The month in the canonical schema as Parquet, and the rejected rows in a file beside it.

    Rows read = rows kept + rows rejected; each rejected row says why.
    """
    with failing_clearly(raw_trips.month, context):
        return clean_trips(
            raw_trips.path, raw_trips.month, config.options(), source_sha256=raw_trips.sha256
        )


@asset(io_manager_key="gcs_object", group_name="trips", kinds={"gcs", "parquet"}, **COMMON)
def gcs_trips(cleaned_trips: TripParquet) -> TripParquet:
    """The cleaned month as an object in the lake, verified against the local file."""
    return cleaned_trips


@asset(
    io_manager_key="bigquery_table",
    group_name="trips",
    kinds={"bigquery"},
    pool=BIGQUERY_POOL,
    **COMMON,
)
def bigquery_trips(gcs_trips: TripObject) -> TripObject:
    """The month in BigQuery, its partition replaced whole by one load job from the lake."""
    return gcs_trips


@asset(
    io_manager_key="postgres_table",
    group_name="trips",
    kinds={"postgres"},
    pool=POSTGRES_POOL,
    **COMMON,
)
def postgres_trips(cleaned_trips: TripParquet) -> TripParquet:
    """The month in Postgres, its child table exchanged whole in one short transaction."""
    return cleaned_trips


TRIP_ASSETS = [raw_trips, cleaned_trips, gcs_trips, bigquery_trips, postgres_trips]
