"""A table in BigQuery: its definition from a schema, and the check of an existing table.

``loads`` loads its months.
"""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.bigquery.types import bigquery_schema, type_name
from taxi_platform.trips.schema import DATA_FILE_MONTH, trip_schema
from taxi_platform.trips.types import trip_type

if TYPE_CHECKING:
    from google.cloud import bigquery

HOW_TO_MIGRATE = (
    "Rename the table or change its columns ('ALTER TABLE'), then load its months again with a "
    "backfill; docs/guarantees.md, 'When the schema changes'"
)


MARK = {"managed-by": "taxi-platform"}
"""The label of the platform's tables."""


def trip_table(table_id: str, color: str) -> "bigquery.Table":
    """The table of a color, for ``project.dataset.table``."""
    table = month_table(table_id, trip_schema(color))
    kind = trip_type(color)
    if kind.location_column:
        table.clustering_fields = [kind.location_column]
    table.description = f"{kind.title}. A partition is the month of the file, replaced whole."
    return table


def month_table(
    table_id: str, schema: pa.Schema, description: str | None = None
) -> "bigquery.Table":
    """A table with one partition for each month, for ``project.dataset.table``."""
    from google.cloud import bigquery

    table = whole_table(table_id, schema)
    table.description = description
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.MONTH, field=DATA_FILE_MONTH
    )
    return table


def whole_table(table_id: str, schema: pa.Schema) -> "bigquery.Table":
    """A table without partitions, for ``project.dataset.table``."""
    from google.cloud import bigquery

    table = bigquery.Table(table_id, schema=bigquery_schema(schema))
    table.labels = dict(MARK)
    return table


def check_fit(subject: object, table: "bigquery.Table", wanted: "bigquery.Table") -> None:
    """Checks that rows can be loaded into a table. Missing columns are allowed.

    Raises:
        PermanentStoreError: its partitioning differs, or a column has another type or mode.
    """
    problems = []
    if _partitioning(table) != _partitioning(wanted):
        problems.append(
            f"it is not partitioned by month on {DATA_FILE_MONTH}"
            if wanted.time_partitioning
            else "it is partitioned"
        )
    types = {column.name: type_name(column) for column in wanted.schema}
    for column in table.schema:
        is_type = type_name(column)
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


def check_own(subject: object, table: "bigquery.Table", wanted: "bigquery.Table") -> None:
    """Checks that a table's rows may be replaced: the platform made it, or it has none.

    Raises:
        PermanentStoreError: it is somebody else's.
    """
    if _is_marked(table) or table.num_rows == 0 or _is_of_earlier_version(table, wanted):
        return
    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    label = ":".join(*MARK.items())
    raise PermanentStoreError(
        f"{subject}: BigQuery, {name}: the table has rows and was not made by the platform, so it "
        "is not replaced: rename it ('ALTER TABLE … RENAME TO'), set TAXI_BIGQUERY_DATASET to "
        "another dataset, or, if its rows may be replaced, say so with 'bq update --set_label "
        f"{label} {table.project}:{table.dataset_id}.{table.table_id}'"
    )


def _is_marked(table: "bigquery.Table") -> bool:
    return MARK.items() <= table.labels.items()


def _is_of_earlier_version(table: "bigquery.Table", wanted: "bigquery.Table") -> bool:
    """Whether an earlier version made a table: those set no label, but the same descriptions.

    A table of a user's asset may have no descriptions; then it must have the same columns.
    """
    if wanted.description and table.description == wanted.description:
        return True
    described = {(c.name, c.description) for c in wanted.schema if c.description}
    if described:
        return not described.isdisjoint((c.name, c.description) for c in table.schema)
    return _columns(table) == _columns(wanted) and _partitioning(table) == _partitioning(wanted)


def _columns(table: "bigquery.Table") -> list[tuple[str, str]]:
    return [(column.name, type_name(column)) for column in table.schema]


def ensure_table(
    client: "bigquery.Client",
    subject: object,
    wanted: "bigquery.Table",
    location: str,
    patience: Any,
) -> "bigquery.Table":
    """The existing table, after creating it, or adding missing columns and the mark.

    Args:
        client: of BigQuery.
        subject: the partition, for messages.
        wanted: the table as the schema defines it.
        location: of the dataset, which is created if it does not exist.
        patience: the client's retry and timeout.

    Raises:
        PermanentStoreError: the table does not fit the schema, or is somebody else's.
    """
    from google.api_core.exceptions import NotFound
    from google.cloud import bigquery

    try:
        table = client.get_table(wanted, **patience)
    except NotFound:
        home = bigquery.Dataset(f"{wanted.project}.{wanted.dataset_id}")
        home.location = location
        client.create_dataset(home, exists_ok=True, **patience)
        table = client.create_table(wanted, exists_ok=True, **patience)
    check_fit(subject, table, wanted)
    check_own(subject, table, wanted)
    changed = []
    present = {field.name for field in table.schema}
    if missing := [field for field in wanted.schema if field.name not in present]:
        table.schema = [*table.schema, *missing]
        changed.append("schema")
    if not _is_marked(table):
        table.labels = {**table.labels, **MARK}
        changed.append("labels")
    return client.update_table(table, changed, **patience) if changed else table


def _partitioning(table: "bigquery.Table") -> tuple[str, str] | None:
    partitioning = table.time_partitioning
    return (partitioning.field, partitioning.type_) if partitioning else None
