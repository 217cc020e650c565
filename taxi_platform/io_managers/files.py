"""The IO managers of the landing zone: the published file, and the cleaned Parquet."""

from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from taxi_platform.io_managers.charts import trips_by_day
from taxi_platform.io_managers.failures import failing_clearly, month_of
from taxi_platform.io_managers.metadata import column_schema, every_few_seconds, preview
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.download import land
from taxi_platform.landing.files import RawFile, TripParquet
from taxi_platform.resources.files import LandingZoneResource, TripSourceResource
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth

SOURCE_VERSION = "source_version"
"""The entry of a landed file's metadata that says which version of it was published."""


class RawFileIOManager(ConfigurableIOManager):
    """Downloads a month's published file into the landing zone."""

    source: TripSourceResource
    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: TripMonth) -> None:
        """Lands the month's file and describes it."""
        say = every_few_seconds(context.log.info)
        with failing_clearly(obj, context):
            raw, published = land(
                self.source.get_source(),
                obj,
                self.landing.get_zone(),
                lambda done, total: say(
                    f"{obj}: {done:,} bytes" + (f" of {total:,}" if total else "")
                ),
            )
        set_content_version(context, raw.sha256)
        context.add_output_metadata(
            {
                "source": MetadataValue.url(published.url),
                SOURCE_VERSION: published.version,
                "path": MetadataValue.path(raw.path),
                "size_bytes": raw.size,
                "sha256": raw.sha256,
                "etag": published.etag or "none given",
                "last_modified": published.last_modified or "none given",
            }
        )

    def load_input(self, context: InputContext) -> RawFile:
        """The landed file of the partition."""
        month = month_of(context)
        with failing_clearly(month, context):
            return self.landing.get_zone().find_raw(month)


class TripParquetIOManager(ConfigurableIOManager):
    """Writes a stream of cleaned trips, and the rejected rows beside it."""

    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: CleanedTrips) -> None:
        """Writes both files of the month and describes them."""
        month = obj.month
        say = every_few_seconds(context.log.info)
        with failing_clearly(month, context):
            trips = self.landing.get_zone().write_cleaned(
                obj, lambda rows: say(f"{month}: {rows:,} rows read")
            )
            first_rows = preview(trips.path)
            set_content_version(context, trips.crc32c, trips.size)
        context.log.info(
            f"{month}: {trips.rows_read:,} rows read = {trips.rows:,} kept + "
            f"{trips.rows_rejected:,} rejected ({obj.summary.describe_rejected()})"
        )
        total = trips.total_cents
        context.add_output_metadata(
            {
                "dagster/row_count": trips.rows,
                "dagster/column_schema": column_schema(month.color),
                "rows_read": trips.rows_read,
                "rows_rejected": trips.rows_rejected,
                "rejected_by_reason": MetadataValue.json(trips.rejected_by_reason),
                "trips_by_day": trips_by_day(month, trips.statistics["rows_by_day"]),
                **({} if total is None else {"total_amount": total / 100}),
                "statistics": MetadataValue.json(trips.statistics),
                "columns_mapped": MetadataValue.json(
                    {name: column.name for name, column in obj.columns.mapped.items()}
                ),
                "columns_unknown": MetadataValue.json(list(obj.columns.unknown)),
                "path": MetadataValue.path(trips.path),
                "rejects_path": MetadataValue.path(trips.rejects_path),
                "size_bytes": trips.size,
                "source_sha256": trips.source_sha256,
                "preview": first_rows,
            }
        )

    def load_input(self, context: InputContext) -> TripParquet:
        """The cleaned file of the partition."""
        month = month_of(context)
        with failing_clearly(month, context):
            return self.landing.get_zone().find_cleaned(month)
