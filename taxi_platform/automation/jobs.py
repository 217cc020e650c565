"""The jobs: which assets of a month are materialized together."""

from dagster import AssetKey, AssetSelection, define_asset_job

from taxi_platform.assets.keys import (
    CLEANED,
    GCS,
    LOADED,
    RAW,
    ZONES,
    mart_keys,
    table_key,
    trip_keys,
)
from taxi_platform.dagster_internals import UnresolvedAssetJobDefinition
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType

REASON_TAG = "taxi/reason"
"""The tag of a run that was not started by hand: the reason why it was requested."""

INGEST_MONTH = "ingest_month"


def job_from_gcs(store: StoreType) -> str:
    """The name of the job that loads a month's object into a store."""
    return f"gcs_to_{store.name}"


def jobs(chosen: Settings) -> list[UnresolvedAssetJobDefinition]:
    """The job of all assets, and the jobs to and from each store in use."""
    found = [
        _job(
            INGEST_MONTH,
            f"Materialize all assets of a month: files, {', '.join(chosen.stores)}, and marts; and "
            "the zones, if they are missing or a month old.",
            *trip_keys(chosen),
            *mart_keys(chosen),
            *([ZONES] if chosen.table_stores else []),
            LOADED,
        )
    ]
    if chosen.uses_gcs:
        found.append(
            _job(
                "web_to_gcs", "Download and clean a month, and upload it to GCS.", RAW, CLEANED, GCS
            )
        )
    for store in chosen.table_stores:
        if store.reads_gcs:
            said = f"Load a month's object from GCS into {store.label}."
            found.append(_job(job_from_gcs(store), said, table_key(store)))
        else:
            said = f"Download and clean a month, and load it into {store.label}."
            found.append(_job(f"web_to_{store.name}", said, RAW, CLEANED, table_key(store)))
    return found


def _job(name: str, description: str, *assets: AssetKey) -> UnresolvedAssetJobDefinition:
    return define_asset_job(name, AssetSelection.assets(*assets), description=description)
