"""The keys of the assets, for checks, jobs, sensors and commands."""

from collections.abc import Sequence

from dagster import AssetKey

from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType

RAW = AssetKey("raw_trips")
CLEANED = AssetKey("cleaned_trips")
GCS = AssetKey("gcs_trips")
ZONES = AssetKey("taxi_zones")


def table_key(store: StoreType) -> AssetKey:
    """The asset of a table store."""
    return AssetKey(store.asset)


def source_key(store: StoreType) -> AssetKey:
    """The asset that a table store is loaded from."""
    return GCS if store.reads_gcs else CLEANED


def trip_keys(chosen: Settings) -> Sequence[AssetKey]:
    """Every asset of a month, starting with the downloaded file."""
    gcs = [GCS] if chosen.uses_gcs else []
    return [RAW, CLEANED, *gcs, *map(table_key, chosen.table_stores)]
