"""The table of a color in BigQuery: what the schema makes of it, and whether a given one fits.

How its months are loaded is the business of ``bigquery``.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from taxi_platform.errors import PermanentStoreError
from taxi_platform.trips.schema import DATA_FILE_MONTH, trip_schema

if TYPE_CHECKING:
    from google.cloud import bigquery

_TYPES = {
    pa.int16(): "INTEGER",
    pa.int32(): "INTEGER",
    pa.float64(): "FLOAT",
    pa.string(): "STRING",
    pa.timestamp("us"): "DATETIME",
    pa.date32(): "DATE",
}

_OLD_TYPE_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT"}

HOW_TO_MIGRATE = (
    "Rename the table or change its columns ('ALTER TABLE'), then load its months again with a "
    "backfill; docs/guarantees.md, 'When the schema changes'"
)


def trip_table(table_id: str, color: str) -> "bigquery.Table":
    """The table as the canonical schema makes it, for ``project.dataset.table``."""
    from google.cloud import bigquery

    table = bigquery.Table(table_id, schema=table_schema(trip_schema(color)))
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.MONTH, field=DATA_FILE_MONTH
    )
    table.clustering_fields = ["pickup_location_id"]
    table.description = (
        f"TLC {color} taxi trips. A partition is the month of the file, replaced whole."
    )
    return table


def refuse_misfit(subject: str, table: "bigquery.Table", wanted: "bigquery.Table") -> None:
    """Refuses a table that no month can be loaded into; missing columns are added, not refused."""
    problems = []
    partitioning = table.time_partitioning
    if partitioning is None or (partitioning.field, partitioning.type_) != (
        DATA_FILE_MONTH,
        "MONTH",
    ):
        problems.append(f"it is not partitioned by month on {DATA_FILE_MONTH}")
    types = {column.name: column.field_type for column in wanted.schema}
    for column in table.schema:
        is_type = _OLD_TYPE_NAMES.get(column.field_type, column.field_type)
        if column.name not in types and column.mode == "REQUIRED":
            problems.append(f"its own column {column.name} is REQUIRED")
        elif column.name in types and (is_type, column.mode) != (types[column.name], "NULLABLE"):
            problems.append(
                f"{column.name} is {column.mode} {is_type} and not NULLABLE {types[column.name]}"
            )
    if problems:
        raise PermanentStoreError(
            f"{subject}: BigQuery, {table.full_table_id} does not fit the schema: "
            f"{'; '.join(problems)}. {HOW_TO_MIGRATE}"
        )


def table_schema(schema: pa.Schema) -> "list[bigquery.SchemaField]":
    """The BigQuery schema of a table, from its Arrow schema and the descriptions in it."""
    from google.cloud import bigquery

    return [
        bigquery.SchemaField(
            field.name, _TYPES[field.type], description=field.metadata[b"description"].decode()
        )
        for field in schema
    ]
