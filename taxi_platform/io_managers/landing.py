"""The IO managers of the landing zone: the published file, and the cleaned Parquet."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from taxi_platform.io_managers.annotated import (
    Rows,
    chosen_columns,
    trips_as_annotated,
    wants_rows,
)
from taxi_platform.io_managers.charts import trips_by_day
from taxi_platform.io_managers.failures import as_failures, month_of
from taxi_platform.io_managers.metadata import (
    column_schema,
    every_few_seconds,
    preview,
    source_metadata,
)
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.files import RawFile, TripParquet
from taxi_platform.landing.trip_batches import batches_ahead
from taxi_platform.landing.zone import MonthVersions
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import chosen_schema

BATCH_ROWS = 65_536


class RawFileIOManager(ConfigurableIOManager):
    """Loads a month's published file, which ``raw_trips`` itself writes."""

    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: RawFile) -> None:
        """Records the data version of the file, which is in its place already."""
        set_content_version(context, obj.sha256)

    def load_input(self, context: InputContext) -> RawFile:
        """The landed file of the partition."""
        month = month_of(context)
        with as_failures(month, context):
            return self.landing.get_zone().find_raw(month)


class TripParquetIOManager(ConfigurableIOManager):
    """Writes a stream of cleaned trips to two files, the kept and the rejected rows."""

    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: CleanedTrips) -> None:
        """Writes both files of the month and records metadata."""
        month, zone = obj.month, self.landing.get_zone()
        say = every_few_seconds(context.log.info)
        with as_failures(month, context):
            trips = zone.write_cleaned(obj, lambda rows: say(f"{month}: {rows:,} rows read"))
            first_rows = preview(trips.path)
            set_content_version(context, trips.crc32c, trips.size)
        if zone.find_unaccepted(month):
            context.log.warning(
                f"{month}: this version may not take the month's place and is kept apart in "
                f"{trips.path}; the checks of cleaned_trips say why"
            )
        context.log.info(
            f"{month}: {trips.rows_read:,} rows read = {trips.rows:,} kept + "
            f"{trips.rows_rejected:,} rejected ({obj.summary.describe_rejected()})"
        )
        for warning in trips.warnings:
            context.log.warning(f"{month}: {warning}")
        total = trips.total_cents
        context.add_output_metadata(
            {
                "dagster/row_count": trips.rows,
                "dagster/column_schema": column_schema(month.color),
                "rows_read": trips.rows_read,
                "rows_rejected": trips.rows_rejected,
                "rejected_by_reason": MetadataValue.json(trips.rejected_by_reason),
                "trips_by_day": trips_by_day(
                    month,
                    trips.statistics["rows_by_day"],
                    synthetic=is_synthetic(trips.source),
                ),
                **({} if total is None else {"total_amount": total / 100}),
                "statistics": MetadataValue.json(trips.statistics),
                "columns_mapped": MetadataValue.json(
                    {name: column.name for name, column in obj.columns.mapped.items()}
                ),
                "columns_unknown": MetadataValue.json(list(obj.columns.unknown)),
                "warnings": MetadataValue.json(list(trips.warnings)),
                "path": MetadataValue.path(trips.path),
                "rejects_path": MetadataValue.path(trips.rejects_path),
                "size_bytes": trips.size,
                **source_metadata(trips.source),
                "source_sha256": trips.source_sha256,
                "preview": first_rows,
            }
        )

    def load_input(self, context: InputContext) -> "TripParquet | MonthVersions | Rows":
        """The cleaned file of the partition, or its rows, depending on the input's annotation.

        A check is given the latest version, which may be kept apart.
        """
        if not wants_rows(context):
            month, zone = month_of(context), self.landing.get_zone()
            with as_failures(month, context):
                if context.dagster_type.typing_type is MonthVersions:
                    return zone.find_versions(month)
                return zone.find_cleaned(month)
        return trips_as_annotated(context, lambda month: self._stream(context, month))

    def _stream(self, context: InputContext, month: TripMonth) -> Iterator[pa.RecordBatch]:
        schema = chosen_schema(month.color, chosen_columns(context))
        with as_failures(month, context):
            trips = self.landing.get_zone().find_cleaned(month)
            with pq.ParquetFile(trips.path, pre_buffer=False) as file:
                for batch in batches_ahead(file, schema.names, BATCH_ROWS):
                    yield batch.cast(schema)
