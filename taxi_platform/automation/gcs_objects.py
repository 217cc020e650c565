"""The sensor of lake objects: what lies in the bucket, whoever put it there, is in BigQuery."""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from taxi_platform.assets.trips import bigquery_trips
from taxi_platform.automation.jobs import gcs_to_bigquery
from taxi_platform.automation.months import latest_materialization, metadata_of
from taxi_platform.automation.requests import Ledger, tagged
from taxi_platform.errors import TransientStoreError
from taxi_platform.io_managers.tables import SOURCE_GENERATION
from taxi_platform.partitions import trip_partitions
from taxi_platform.resources.gcs import LakeResource
from taxi_platform.settings import settings
from taxi_platform.trips.month import TripMonth


@sensor(
    job=gcs_to_bigquery,
    name="lake_objects",
    minimum_interval_seconds=settings().lake_seconds,
    default_status=DefaultSensorStatus.RUNNING
    if settings().automation
    else DefaultSensorStatus.STOPPED,
)
def lake_objects(context: SensorEvaluationContext, gcs: LakeResource) -> SensorResult | SkipReason:
    """Loads each new generation of a month's object into BigQuery, once.

    A generation that the platform has loaded already, or is about to, is not loaded again.
    """
    try:
        generations = gcs.get_lake().generations()
    except TransientStoreError as error:
        return SkipReason(f"the lake did not answer and will be asked again: {error}")
    known = set(trip_partitions.get_partition_keys())
    offered = {
        month: str(generation)
        for month, generation in sorted(generations.items(), reverse=True)
        if month.key in known
    }
    ledger = Ledger(context.cursor)
    ledger.keep_only({month.key for month in offered})

    def is_loaded(month: TripMonth, generation: str) -> bool:
        record = latest_materialization(context.instance, bigquery_trips.key, month)
        return record is not None and metadata_of(record).get(SOURCE_GENERATION) == generation

    requests = ledger.due(context.instance, offered, is_loaded, settings().request_again_seconds)
    return SensorResult(
        run_requests=tagged(requests, "object in the lake"),
        skip_reason=None if requests else f"{len(offered)} objects, all seen to",
        cursor=ledger.cursor(),
    )
