"""The IO manager of GCS: a cleaned month as an object."""

from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from taxi_platform.io_managers.failures import as_failures, month_of
from taxi_platform.io_managers.metadata import column_schema, source_metadata
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.files import TripParquet
from taxi_platform.resources.gcs import TripGCSResource
from taxi_platform.stores.gcs.objects import TripObject


class GCSObjectIOManager(ConfigurableIOManager):
    """Uploads a cleaned month, and finds its object for the next asset."""

    gcs: TripGCSResource

    def handle_output(self, context: OutputContext, obj: TripParquet) -> None:
        """Uploads the month's file, unless the same content is there, and records metadata."""
        with as_failures(obj.month, context):
            stored, uploaded = self.gcs.get_trips().upload(obj)
        if not uploaded:
            context.log.info(f"{obj.month}: {stored.uri} has exactly this content already")
        set_content_version(context, stored.crc32c, stored.size)
        context.add_output_metadata(
            {
                "dagster/uri": stored.uri,
                "object": MetadataValue.url(self.gcs.browser_url(stored.name)),
                "dagster/row_count": obj.rows,
                "dagster/column_schema": column_schema(obj.month.color),
                "generation": MetadataValue.text(str(stored.generation)),
                "size_bytes": stored.size,
                "crc32c": stored.crc32c,
                "uploaded": uploaded,
                **source_metadata(obj.source),
            }
        )

    def load_input(self, context: InputContext) -> TripObject:
        """The partition's object as it is now."""
        month = month_of(context)
        with as_failures(month, context):
            return self.gcs.get_trips().find(month)
