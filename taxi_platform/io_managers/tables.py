"""The IO managers of the tables, in BigQuery and in Postgres.

Downstream assets may take a partition of either as ``pandas.DataFrame``, ``pyarrow.Table``, or
``pyarrow.RecordBatchReader``, which streams; ``AssetIn(metadata={"columns": [...]})`` chooses
columns.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from dagster import (
    ConfigurableIOManager,
    Failure,
    InputContext,
    MetadataValue,
    OutputContext,
)

from taxi_platform.io_managers.failures import failing_clearly, month_of
from taxi_platform.io_managers.metadata import (
    column_schema,
    every_few_seconds,
    preview_of,
    schema_metadata,
)
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.files import TripParquet
from taxi_platform.resources.bigquery import TripBigQueryResource
from taxi_platform.resources.postgres import PostgresResource
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.zones import (
    SUBJECT,
    read_from_postgres,
    replace_in_bigquery,
    replace_in_postgres,
)
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import chosen_schema
from taxi_platform.trips.zones import ZONE_SCHEMA

if TYPE_CHECKING:
    import pandas as pd

SOURCE_GENERATION = "source_generation"
"""The entry of a BigQuery partition's metadata that says which object it was loaded from."""


class BigQueryTableIOManager(ConfigurableIOManager):
    """Loads a month's object into its partition in BigQuery."""

    bigquery: TripBigQueryResource

    def handle_output(self, context: OutputContext, obj: TripObject) -> None:
        """Replaces the partition by one load job and describes it."""
        month = obj.month
        with failing_clearly(month, context), self.bigquery.get_tables() as tables:
            load = tables.replace_month(
                obj, lambda job: context.log.info(f"{month}: load job {job} from {obj.uri}")
            )
        set_content_version(context, obj.crc32c, obj.size)
        context.add_output_metadata(
            {
                "dagster/relation_identifier": load.table,
                "table": MetadataValue.url(self.bigquery.browser_url(load.table)),
                "dagster/partition_row_count": load.rows,
                "dagster/column_schema": column_schema(month.color),
                "bigquery_partition": load.partition,
                "job_id": load.job_id,
                "attached_to_earlier_job": load.attached,
                "source_uri": obj.uri,
                SOURCE_GENERATION: str(obj.generation),
            }
        )

    def load_input(self, context: InputContext) -> "pa.RecordBatchReader | pa.Table | pd.DataFrame":
        """The partition's rows as Arrow or pandas, as the input is annotated."""
        month = month_of(context)
        return _as_annotated(context, month, self._stream(context, month))

    def _stream(self, context: InputContext, month: TripMonth) -> Iterator[pa.RecordBatch]:
        # The client lives as long as the stream, which may be read long after this returns.
        with failing_clearly(month, context), self.bigquery.get_tables() as tables:
            yield from tables.stream_month(month, _chosen_columns(context))


class PostgresTableIOManager(ConfigurableIOManager):
    """Copies a cleaned month into Postgres."""

    postgres: PostgresResource

    def handle_output(self, context: OutputContext, obj: TripParquet) -> None:
        """Replaces the month's child table and describes it."""
        month = obj.month
        say = every_few_seconds(context.log.info)
        tables = self.postgres.get_tables()
        with failing_clearly(month, context):
            load = tables.replace_month(
                obj, lambda rows: say(f"{month}: {rows:,} of {obj.rows:,} rows copied")
            )
        set_content_version(context, obj.crc32c, obj.size)
        context.add_output_metadata(
            {
                "dagster/relation_identifier": f"{self.postgres.database}.{load.table}",
                "dagster/partition_row_count": load.rows,
                "dagster/column_schema": column_schema(month.color),
                "child_table": load.child,
                "server": tables.server.address,
                "query": f"SELECT * FROM {load.table} WHERE data_file_month = '{month.month}'",  # noqa: S608
            }
        )

    def load_input(self, context: InputContext) -> "pa.RecordBatchReader | pa.Table | pd.DataFrame":
        """The partition's rows as Arrow or pandas, as the input is annotated."""
        month = month_of(context)
        return _as_annotated(context, month, self._stream(context, month))

    def _stream(self, context: InputContext, month: TripMonth) -> Iterator[pa.RecordBatch]:
        with failing_clearly(month, context):
            yield from self.postgres.get_tables().stream_month(month, _chosen_columns(context))


class ZoneTablesIOManager(ConfigurableIOManager):
    """Puts the zone lookup into a table of each store."""

    bigquery: TripBigQueryResource
    postgres: PostgresResource

    def handle_output(self, context: OutputContext, obj: pa.Table) -> None:
        """Replaces both tables and describes them."""
        with failing_clearly(SUBJECT, context), self.bigquery.get_client() as client:
            in_bigquery = replace_in_bigquery(
                client, self.bigquery.dataset, self.bigquery.location or "US", obj
            )
            in_postgres = replace_in_postgres(
                self.postgres.get_server(), self.postgres.schema_name, obj
            )
        context.add_output_metadata(
            {
                "dagster/row_count": obj.num_rows,
                "dagster/column_schema": schema_metadata(ZONE_SCHEMA),
                "bigquery_table": in_bigquery,
                "postgres_table": f"{self.postgres.database}.{in_postgres}",
                "preview": preview_of(obj),
            }
        )

    def load_input(self, context: InputContext) -> pa.Table:
        """The zones from Postgres."""
        with failing_clearly(SUBJECT, context):
            return read_from_postgres(self.postgres.get_server(), self.postgres.schema_name)


def _chosen_columns(context: InputContext) -> Sequence[str] | None:
    return (context.definition_metadata or {}).get("columns")


def _as_annotated(
    context: InputContext, month: TripMonth, batches: Iterator[pa.RecordBatch]
) -> "pa.RecordBatchReader | pa.Table | pd.DataFrame":
    wanted = context.dagster_type.typing_type
    with failing_clearly(month, context):
        schema = chosen_schema(month.color, _chosen_columns(context))
        rows = pa.RecordBatchReader.from_batches(schema, batches)
        if wanted is pa.RecordBatchReader:
            return rows
        if wanted is pa.Table:
            return rows.read_all()
        if f"{wanted.__module__}.{wanted.__name__}".startswith("pandas."):
            from taxi_platform.io_managers.frames import trip_frame

            return trip_frame(month.color, rows.read_all())
    raise Failure(
        f"{month}: annotate the input as pyarrow.RecordBatchReader, which streams, pyarrow.Table "
        f"or pandas.DataFrame: trips cannot be given as {wanted}",
        allow_retries=False,
    )
