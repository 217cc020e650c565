"""The sensors of GCS: a new object, whoever uploaded it, is loaded into stores that read GCS."""

from dagster import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from taxi_platform.assets.keys import table_key
from taxi_platform.assets.records import metadata_of
from taxi_platform.automation.jobs import job_from_gcs
from taxi_platform.automation.months import MonthRecords
from taxi_platform.automation.requests import VersionLedger, tagged
from taxi_platform.errors import TransientStoreError
from taxi_platform.io_managers.metadata import SOURCE_GENERATION
from taxi_platform.partitions import trip_partitions
from taxi_platform.safe_texts import safe_errors, safe_line
from taxi_platform.settings import Settings
from taxi_platform.stores.base import StoreType
from taxi_platform.trips.month import TripMonth


def gcs_sensors(chosen: Settings) -> list[SensorDefinition]:
    """A sensor for each store that loads GCS objects."""
    return [_gcs_objects(store, chosen) for store in chosen.table_stores if store.reads_gcs]


def _gcs_objects(store: StoreType, chosen: Settings) -> SensorDefinition:
    # Imported only if it is used: Google's clients take half a second.
    from taxi_platform.resources.gcs import TripGCSResource

    @sensor(
        job_name=job_from_gcs(store),
        name=f"gcs_objects_to_{store.name}",
        description=f"Loads each new generation of a month's object into {store.label}, once. A "
        "generation that is loaded, or has a queued or running run, is not loaded again.",
        minimum_interval_seconds=chosen.gcs_seconds,
        default_status=DefaultSensorStatus.RUNNING
        if chosen.automation
        else DefaultSensorStatus.STOPPED,
    )
    @safe_errors()
    def gcs_objects(
        context: SensorEvaluationContext, gcs: TripGCSResource
    ) -> SensorResult | SkipReason:
        try:
            generations = gcs.get_trips().generations()
        except TransientStoreError as error:
            return SkipReason(safe_line(f"GCS did not answer; the next tick asks again: {error}"))
        known = set(trip_partitions(chosen).get_partition_keys())
        offered = {
            month: str(generation)
            for month, generation in sorted(generations.items(), reverse=True)
            if month.key in known
        }
        records = MonthRecords(context.instance, chosen)
        ledger = VersionLedger(context.cursor)
        ledger.keep_only({month.key for month in offered})

        def is_loaded(month: TripMonth, generation: str) -> bool:
            record = records.latest(table_key(store), month)
            return record is not None and metadata_of(record).get(SOURCE_GENERATION) == generation

        requests = ledger.due(records, offered, is_loaded)
        return SensorResult(
            run_requests=tagged(requests, "object in GCS"),
            skip_reason=None if requests else f"{len(offered)} objects: nothing to request",
            cursor=ledger.to_json(),
        )

    return gcs_objects
