"""The keys of the assets, for checks, jobs, sensors and commands."""

from collections.abc import Sequence

from dagster import AssetKey

from taxi_platform.marts.definitions import MARTS
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType

RAW = AssetKey("raw_trips")
CLEANED = AssetKey("cleaned_trips")
GCS = AssetKey("gcs_trips")
ZONES = AssetKey("taxi_zones")
REPORT = AssetKey("trips_report")
LOADED = AssetKey("loaded_months")


def table_key(store: StoreType) -> AssetKey:
    """The asset of a table store."""
    return AssetKey(store.asset)


def source_key(store: StoreType) -> AssetKey:
    """The asset that a table store is loaded from."""
    return GCS if store.reads_gcs else CLEANED


def mart_stores(chosen: Settings) -> list[StoreType]:
    """The table stores in use that have marts."""
    return [store for store in chosen.table_stores if store.dialect is not None]


def mart_key(store: StoreType, mart: str) -> AssetKey:
    """The asset of a mart in a store."""
    return AssetKey(f"{store.name}_{mart}")


def mart_keys(chosen: Settings) -> Sequence[AssetKey]:
    """Every mart of a month, in every store."""
    return [mart_key(store, mart) for store in mart_stores(chosen) for mart in MARTS]


def report_store(chosen: Settings) -> StoreType | None:
    """The store that the report asks: Postgres if it is in use, where asking costs nothing."""
    stores = mart_stores(chosen)
    return next((s for s in stores if s.name == "postgres"), stores[0] if stores else None)


def trip_keys(chosen: Settings) -> Sequence[AssetKey]:
    """The assets of a month's trips, starting with the downloaded file."""
    gcs = [GCS] if chosen.uses_gcs else []
    return [RAW, CLEANED, *gcs, *map(table_key, chosen.table_stores)]
