"""The jobs: which assets of a month are materialized together."""

from dagster import AssetSelection, define_asset_job

from taxi_platform.assets.trips import (
    TRIP_ASSETS,
    bigquery_trips,
    cleaned_trips,
    gcs_trips,
    postgres_trips,
    raw_trips,
)

REASON_TAG = "taxi/reason"
"""The tag of a run that nobody started by hand: what it was started for."""

web_to_gcs = define_asset_job(
    "web_to_gcs",
    AssetSelection.assets(raw_trips, cleaned_trips, gcs_trips),
    description="Download and clean a month, and put it into the lake.",
)
gcs_to_bigquery = define_asset_job(
    "gcs_to_bigquery",
    AssetSelection.assets(bigquery_trips),
    description="Load a month's object from the lake into BigQuery.",
)
web_to_postgres = define_asset_job(
    "web_to_postgres",
    AssetSelection.assets(raw_trips, cleaned_trips, postgres_trips),
    description="Download and clean a month, and load it into Postgres.",
)
ingest_month = define_asset_job(
    "ingest_month",
    AssetSelection.assets(*TRIP_ASSETS),
    description="Take a month the whole way: files, lake, BigQuery and Postgres.",
)

JOBS = [web_to_gcs, gcs_to_bigquery, web_to_postgres, ingest_month]
