"""The assets of a month of trips.

raw_trips -> cleaned_trips -> gcs_trips -> bigquery_trips, and cleaned_trips -> postgres_trips. Each
value is handed to the asset's IO manager, which writes and reads the store.
"""

from typing import Any, Literal

from dagster import (
    AssetExecutionContext,
    AssetIn,
    AssetsDefinition,
    Config,
    Output,
    asset,
)
from pydantic import Field

from taxi_platform.assets.keys import CLEANED, GCS, RAW, source_key
from taxi_platform.assets.retries import retried
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.io_managers.metadata import every_few_seconds, publication_metadata
from taxi_platform.landing.files import RawFile, TripParquet
from taxi_platform.partitions import trip_partitions
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType
from taxi_platform.trips.cleaning import CleanedTrips, CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.replacement import ReplacementLimits

OWNERS = ["team:data-platform"]

SOURCE_POOL = "source"
"""How many runs may ask the source at once; each store has a pool of its name. dagster.yaml says
how many, or `dagster instance concurrency set`."""


def pools(chosen: Settings) -> list[str]:
    """The pools of the assets."""
    return [SOURCE_POOL, *(store.name for store in chosen.table_stores)]


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

    accept_replacement: bool = Field(
        default=False,
        description="Replace the month however its new version differs from the one that is "
        "loaded.",
    )
    most_rows_changed: float = Field(
        default=0.1, ge=0, description="Share of the rows that a new version may gain or lose."
    )
    most_rows_lost_a_day: float = Field(
        default=0.5, ge=0, description="Share of its rows that a day may lose in a new version."
    )
    most_amount_changed: float = Field(
        default=0.25,
        ge=0,
        description="Share by which the mean of an amount may change in a new version.",
    )
    most_nulls_changed: float = Field(
        default=0.1,
        ge=0,
        description="How much the share of missing values of a column may change in a new version.",
    )
    utc_times: Literal["wall_time", "convert"] = Field(
        default="wall_time",
        description="How times labeled UTC are read: as New York wall time, which is often "
        "labeled so, or as UTC, to be converted.",
    )
    missing_columns: list[str] = Field(
        default=[],
        description="Canonical columns that the file may lack, though the files of its month have "
        "them; without, such a file fails.",
    )

    def options(self) -> CleaningOptions:
        """The same, as the cleaning takes it."""
        return CleaningOptions(
            rules=tuple(self.rules) if self.rules is not None else None,
            days_outside_month=self.days_outside_month,
            missing_passenger_count=self.missing_passenger_count,
            max_rejected_share=self.max_rejected_share,
            accept_replacement=self.accept_replacement,
            replacement=ReplacementLimits(
                rows=self.most_rows_changed,
                day=self.most_rows_lost_a_day,
                amount=self.most_amount_changed,
                nulls=self.most_nulls_changed,
            ),
            utc_times=self.utc_times,
            missing_columns=tuple(self.missing_columns),
        )


def raw_trips(
    context: AssetExecutionContext, source: TripSourceResource, landing: LandingZoneResource
) -> Output[RawFile]:
    """The month's file as the TLC published it, byte for byte, landed on local disk.

    It is verified to be a whole trip file before it takes the place of an earlier download.
    """
    month = TripMonth.from_key(context.partition_key)
    say = every_few_seconds(context.log.info)
    with as_failures(month, context):
        raw, published = source.download(
            month,
            landing.get_zone(),
            lambda done, total: say(
                f"{month}: {done:,} of {total:,} bytes" if total else f"{month}: {done:,} bytes"
            ),
        )
    return Output(raw, metadata=publication_metadata(raw, published))


def cleaned_trips(
    context: AssetExecutionContext, raw_trips: RawFile, config: CleaningConfig
) -> CleanedTrips:
    """The month in the canonical schema as Parquet, and the rejected rows in a file beside it.

    Rows read = rows kept + rows rejected; each rejected row says why.
    """
    with as_failures(raw_trips.month, context):
        return clean_trips(
            raw_trips.path,
            raw_trips.month,
            config.options(),
            source_sha256=raw_trips.sha256,
            source=raw_trips.source,
        )


def gcs_trips(cleaned_trips: TripParquet) -> TripParquet:
    """The cleaned month as an object in GCS, verified against the local file."""
    return cleaned_trips


def trip_assets(chosen: Settings) -> list[AssetsDefinition]:
    """The assets of a month, from the published file to every store of the settings."""
    month: dict[str, Any] = {
        "partitions_def": trip_partitions(chosen),
        "owners": OWNERS,
        **retried(chosen),
    }
    landing = {**month, "group_name": "landing"}
    found = [
        asset(
            key=RAW,
            io_manager_key="raw_file",
            kinds={"http", "file"},
            pool=SOURCE_POOL,
            **landing,
        )(raw_trips),
        asset(key=CLEANED, io_manager_key="trip_parquet", kinds={"pyarrow", "parquet"}, **landing)(
            cleaned_trips
        ),
    ]
    if chosen.uses_gcs:
        lake = {**month, "group_name": "lake"}
        found.append(
            asset(key=GCS, io_manager_key="gcs_object", kinds={"gcs", "parquet"}, **lake)(gcs_trips)
        )
    warehouse = {**month, "group_name": "warehouse"}
    return [*found, *(_table_asset(store, warehouse) for store in chosen.table_stores)]


def _table_asset(store: StoreType, common: dict[str, Any]) -> AssetsDefinition:
    def load(trips: Any) -> Any:
        return trips

    # What is handed on is what the IO manager of the asset before gives for this type.
    load.__annotations__ = {"trips": store.reads, "return": store.reads}
    return asset(
        name=store.asset,
        ins={"trips": AssetIn(source_key(store))},
        description=store.description,
        io_manager_key=f"{store.name}_table",
        kinds=set(store.kinds),
        pool=store.name,
        **common,
    )(load)
