"""The code location: every asset with the resources and IO managers that it needs."""

from dagster import Definitions, in_process_executor

from taxi_platform.assets.trips import TRIP_ASSETS
from taxi_platform.assets.zones import taxi_zones
from taxi_platform.automation.alerts.sensors import alert_sensors
from taxi_platform.automation.gcs_objects import lake_objects
from taxi_platform.automation.jobs import JOBS
from taxi_platform.automation.published_months import published_months
from taxi_platform.automation.schedule import monthly
from taxi_platform.checks import TRIP_CHECKS
from taxi_platform.io_managers.files import RawFileIOManager, TripParquetIOManager
from taxi_platform.io_managers.gcs import GCSObjectIOManager
from taxi_platform.io_managers.tables import (
    BigQueryTableIOManager,
    PostgresTableIOManager,
    ZoneTablesIOManager,
)
from taxi_platform.resources.bigquery import TripBigQueryResource
from taxi_platform.resources.files import LandingZoneResource, TripSourceResource
from taxi_platform.resources.gcs import LakeResource
from taxi_platform.resources.postgres import PostgresResource
from taxi_platform.settings import Settings, settings


def build_resources(chosen: Settings) -> dict[str, object]:
    """The resources and IO managers of these settings; tests and commands pass their own."""
    landing = LandingZoneResource(root=str(chosen.data_dir))
    source = TripSourceResource(url=chosen.source_url, request_seconds=chosen.request_seconds)
    gcs = LakeResource.of(chosen)
    bigquery = TripBigQueryResource.of(chosen)
    postgres = PostgresResource.of(chosen)
    return {
        "source": source,
        "landing": landing,
        "gcs": gcs,
        "bigquery": bigquery,
        "postgres": postgres,
        "raw_file": RawFileIOManager(source=source, landing=landing),
        "trip_parquet": TripParquetIOManager(landing=landing),
        "gcs_object": GCSObjectIOManager(gcs=gcs),
        "bigquery_table": BigQueryTableIOManager(bigquery=bigquery),
        "postgres_table": PostgresTableIOManager(postgres=postgres),
        "zone_tables": ZoneTablesIOManager(bigquery=bigquery, postgres=postgres),
    }


defs = Definitions(
    assets=[*TRIP_ASSETS, taxi_zones],
    asset_checks=TRIP_CHECKS,
    jobs=JOBS,
    schedules=[monthly],
    sensors=[published_months, lake_objects, *alert_sensors(settings())],
    resources=build_resources(settings()),
    # Within a run one process: starting one a step costs four times the work of a small month.
    # Runs are what goes side by side.
    executor=in_process_executor,
)
