"""The zone lookup: one small asset without partitions."""

from collections.abc import Iterator

import pyarrow as pa
from dagster import AssetExecutionContext, Output, asset

from taxi_platform.assets.trips import OWNERS, RETRIES, RETRY_DEADLINE
from taxi_platform.io_managers.failures import failing_clearly
from taxi_platform.resources.files import TripSourceResource
from taxi_platform.stores.zones import SUBJECT
from taxi_platform.trips.zones import parse_zones


@asset(
    io_manager_key="zone_tables",
    group_name="trips",
    kinds={"bigquery", "postgres"},
    owners=OWNERS,
    retry_policy=RETRIES,
    op_tags=RETRY_DEADLINE,
    output_required=False,
)
def taxi_zones(
    context: AssetExecutionContext, source: TripSourceResource
) -> Iterator[Output[pa.Table]]:
    """The TLC's taxi zones, which location ids of trips refer to, in BigQuery and in Postgres.

    Left as it is where the source of the trips has no lookup beside them.
    """
    with failing_clearly(SUBJECT, context):
        published = source.fetch_zones()
        zones = parse_zones(published) if published is not None else None
    if zones is None:
        context.log.warning(
            f"no zone lookup at {source.zones_address()}: taxi_zones stays as it is"
        )
    else:
        yield Output(zones)
