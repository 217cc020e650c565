"""The names of the assets, for what refers to them: checks, jobs, sensors, commands."""

from collections.abc import Sequence

from dagster import AssetKey

from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType

RAW = AssetKey("raw_trips")
CLEANED = AssetKey("cleaned_trips")
GCS = AssetKey("gcs_trips")
ZONES = AssetKey("taxi_zones")


def table_key(store: StoreType) -> AssetKey:
    """The asset of a store of trip tables."""
    return AssetKey(store.asset)


def source_key(store: StoreType) -> AssetKey:
    """The asset that a store of trip tables is loaded from."""
    return GCS if store.reads_gcs else CLEANED


def trip_keys(chosen: Settings) -> Sequence[AssetKey]:
    """Every asset of a month, the downloaded file first."""
    gcs = [GCS] if chosen.uses_gcs else []
    return [RAW, CLEANED, *gcs, *map(table_key, chosen.table_stores)]
