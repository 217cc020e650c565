"""What datasets and tables there are, and the DuckDB tables that hold their rows.

Everything here works inside a transaction that the caller holds, so that metadata and data are
always of one moment. What may be kept of them is checked in resources.py; what is counted of
them is in partition_sizes.py; how the API shows them is in api/.

A table's rows lie in a DuckDB table with a number for its name. DuckDB compares names without
regard to case and BigQuery does not, and a name that no client chose needs no care in SQL.
"""

# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from bigquery_emulator.errors import duplicate, invalid, not_found
from bigquery_emulator.storage import segments
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partitioning import TimePartitioning
from bigquery_emulator.storage.segments import Segment, TableSegments


def now_ms() -> int:
    """Milliseconds since 1970, the API's measure of time."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class TableName:
    """The full name of a table."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @classmethod
    def from_reference(cls, reference: dict[str, Any]) -> TableName:
        """Reads the API's tableReference."""
        return cls(reference["projectId"], reference["datasetId"], reference["tableId"])

    def reference(self) -> dict[str, str]:
        """The API's tableReference."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}


@dataclass
class Dataset:
    """A dataset's entry; `resource` holds what a client set."""

    project: str
    dataset: str
    resource: dict[str, Any]
    created_ms: int
    modified_ms: int

    @property
    def is_hidden(self) -> bool:
        """Whether lists leave it out, unless they are asked for all."""
        return self.dataset.startswith("_")

    @property
    def location(self) -> str:
        """Where the dataset says it lies."""
        return str(self.resource.get("location") or "US")


@dataclass
class Table:
    """A table's entry; `resource` holds what a client set, its schema included."""

    id: int
    name: TableName
    resource: dict[str, Any]
    created_ms: int
    modified_ms: int
    segments: list[Segment] = field(default_factory=list)

    @property
    def fields(self) -> list[Field]:
        """The columns."""
        fields: list[Field] = self.resource["schema"]["fields"]
        return fields

    @property
    def partitioning(self) -> TimePartitioning | None:
        """How the table is partitioned, if it is."""
        return TimePartitioning.from_resource(self.resource.get("timePartitioning"), self.fields)

    @property
    def is_view(self) -> bool:
        """Whether it is a view, which has a query in place of rows."""
        return "view" in self.resource

    @property
    def expired(self) -> bool:
        """Whether its time is over; it is then no longer found."""
        expiration = self.resource.get("expirationTime")
        return expiration is not None and int(expiration) <= now_ms()

    @property
    def relation(self) -> str:
        """The rows, as SQL for a FROM clause."""
        return segments.rows_of(self.id, self.segments)

    def changed_in(self, cursor: Cursor) -> TableSegments:
        """The segments, to be changed in the caller's transaction."""
        return TableSegments(cursor, self.id, self.fields, self.segments)


def find_dataset(cursor: Cursor, project: str, dataset: str) -> Dataset:
    """The dataset of that name.

    Raises:
        ApiError: there is none.
    """
    found = find_dataset_or_none(cursor, project, dataset)
    if found is None:
        raise not_found(f"Dataset {project}:{dataset}")
    return found


def find_dataset_or_none(cursor: Cursor, project: str, dataset: str) -> Dataset | None:
    """The dataset of that name, if there is one."""
    condition = "project = $project AND dataset = $dataset"
    found = _datasets_where(cursor, condition, project=project, dataset=dataset)
    return found[0] if found else None


def check_location(cursor: Cursor, name: TableName, location: str) -> None:
    """Refuses a job that runs elsewhere than a dataset lies; a dataset that is absent passes.

    Raises:
        ApiError: it does.
    """
    for dataset in list_datasets(cursor, name.project):
        if dataset.dataset == name.dataset and dataset.location.upper() != location.upper():
            raise not_found(
                f"Dataset {name.project}:{name.dataset} was not found in location {location}"
            )


def list_datasets(cursor: Cursor, project: str) -> list[Dataset]:
    """The datasets of a project, by name, hidden ones included."""
    return _datasets_where(cursor, "project = $project", project=project)


def datasets_named(cursor: Cursor, prefix: str) -> list[Dataset]:
    """The datasets of all projects whose names begin so."""
    return _datasets_where(cursor, "starts_with(dataset, $prefix)", prefix=prefix)


def _datasets_where(cursor: Cursor, condition: str, **parameters: str) -> list[Dataset]:
    rows = cursor.execute(
        "SELECT project, dataset, resource, created_ms, modified_ms FROM meta.datasets "
        f"WHERE {condition} ORDER BY dataset",
        parameters,
    ).fetchall()
    return [Dataset(row[0], row[1], json.loads(row[2]), row[3], row[4]) for row in rows]


def create_dataset(cursor: Cursor, project: str, name: str, resource: dict[str, Any]) -> None:
    """Enters a new dataset.

    Raises:
        ApiError: there is one of that name.
    """
    if find_dataset_or_none(cursor, project, name) is not None:
        raise duplicate(f"Dataset {project}:{name}")
    save_dataset(cursor, Dataset(project, name, resource, now_ms(), now_ms()))


def save_dataset(cursor: Cursor, dataset: Dataset) -> None:
    """Writes a dataset's entry, new or changed."""
    _delete_entry(cursor, dataset)
    dataset.modified_ms = max(now_ms(), dataset.modified_ms)
    cursor.execute(
        "INSERT INTO meta.datasets VALUES ($project, $dataset, $resource, $created, $modified)",
        {
            "project": dataset.project,
            "dataset": dataset.dataset,
            "resource": json.dumps(dataset.resource),
            "created": dataset.created_ms,
            "modified": dataset.modified_ms,
        },
    )


def _delete_entry(cursor: Cursor, dataset: Dataset) -> None:
    cursor.execute(
        "DELETE FROM meta.datasets WHERE project = $project AND dataset = $dataset",
        {"project": dataset.project, "dataset": dataset.dataset},
    )


def find_table_or_none(cursor: Cursor, name: TableName) -> Table | None:
    """The table of that name, if there is one.

    Raises:
        ApiError: the dataset does not exist.
    """
    find_dataset(cursor, name.project, name.dataset)
    rows = _tables_where(
        cursor, "t.dataset = $dataset AND t.name = $name", name.project, name.dataset, name.table
    )
    return rows[0] if rows else None


def table_exists(cursor: Cursor, name: TableName) -> bool:
    """Whether there is a table of that name; its dataset may be absent too."""
    condition = "t.dataset = $dataset AND t.name = $name"
    return bool(_tables_where(cursor, condition, name.project, name.dataset, name.table))


def _tables_where(
    cursor: Cursor,
    condition: str,
    project: str,
    dataset: str,
    name: str | None = None,
    *,
    expired: bool = False,
) -> list[Table]:
    parameters = {"project": project, "dataset": dataset} | ({"name": name} if name else {})
    rows = cursor.execute(
        "SELECT t.id, t.name, t.resource, t.created_ms, t.modified_ms, "
        "list([CAST(s.segment_id AS VARCHAR), s.partition_id] ORDER BY s.segment_id) "
        "FILTER (WHERE s.segment_id IS NOT NULL) "
        "FROM meta.tables t LEFT JOIN meta.segments s ON s.table_id = t.id "
        f"WHERE t.project = $project AND {condition} "
        "GROUP BY ALL ORDER BY t.name",
        parameters,
    ).fetchall()
    tables = [
        Table(
            id=row[0],
            name=TableName(project, dataset, row[1]),
            resource=json.loads(row[2]),
            created_ms=row[3],
            modified_ms=row[4],
            segments=[Segment(int(number), partition) for number, partition in row[5] or ()],
        )
        for row in rows
    ]
    return [table for table in tables if table.expired == expired]


def find_table(cursor: Cursor, name: TableName) -> Table:
    """The table of that name.

    Raises:
        ApiError: it or its dataset does not exist.
    """
    table = find_table_or_none(cursor, name)
    if table is None:
        raise not_found(f"Table {name}")
    return table


def list_tables(cursor: Cursor, project: str, dataset: str) -> list[Table]:
    """The tables of a dataset, by name.

    Raises:
        ApiError: the dataset does not exist.
    """
    find_dataset(cursor, project, dataset)
    return _tables_where(cursor, "t.dataset = $dataset", project, dataset)


def delete_dataset(cursor: Cursor, dataset: Dataset, *, contents: bool) -> None:
    """Removes a dataset.

    Raises:
        ApiError: it has tables, which were not to be deleted.
    """
    tables = list_tables(cursor, dataset.project, dataset.dataset)
    if tables and not contents:
        raise invalid(f"Dataset {dataset.project}:{dataset.dataset} is still in use")
    expired = _tables_where(
        cursor, "t.dataset = $dataset", dataset.project, dataset.dataset, expired=True
    )
    for table in [*tables, *expired]:
        drop_table(cursor, table)
    _delete_entry(cursor, dataset)


def create_table(cursor: Cursor, table_id: int, name: TableName, resource: dict[str, Any]) -> Table:
    """Creates a table without rows.

    Args:
        cursor: in the caller's transaction.
        table_id: a number never used before, from `Storage.next_id`.
        name: the new table's name, known to be free.
        resource: what a client set, checked; with the schema's fields.

    Raises:
        ApiError: the dataset does not exist.
    """
    find_dataset(cursor, name.project, name.dataset)
    condition = "t.dataset = $dataset AND t.name = $name"
    for old in _tables_where(
        cursor, condition, name.project, name.dataset, name.table, expired=True
    ):
        drop_table(cursor, old)
    table = Table(table_id, name, resource, now_ms(), now_ms())
    segments.create_relation(cursor, segments.template(table_id), table.fields)
    save_table(cursor, table)
    return table


def set_first_columns(cursor: Cursor, table: Table, fields: list[Field]) -> None:
    """Gives columns to a table that had none; the caller saves the entry."""
    table.resource["schema"] = {"fields": fields}
    cursor.execute(f"DROP TABLE {segments.template(table.id)}")
    segments.create_relation(cursor, segments.template(table.id), fields)


def alter_columns(cursor: Cursor, table: Table, change: str) -> None:
    """Runs an ALTER TABLE on everything that has the table's columns."""
    relations = [segments.template(table.id), *(one.relation for one in table.segments)]
    for relation in relations:
        cursor.execute(f"ALTER TABLE {relation} {change}")


def save_table(cursor: Cursor, table: Table) -> None:
    """Writes a table's entry, new or changed; its DuckDB table is the caller's business."""
    table.modified_ms = max(now_ms(), table.modified_ms)
    cursor.execute("DELETE FROM meta.tables WHERE id = $id", {"id": table.id})
    cursor.execute(
        "INSERT INTO meta.tables VALUES "
        "($id, $project, $dataset, $name, $resource, $created, $modified)",
        {
            "id": table.id,
            "project": table.name.project,
            "dataset": table.name.dataset,
            "name": table.name.table,
            "resource": json.dumps(table.resource),
            "created": table.created_ms,
            "modified": table.modified_ms,
        },
    )


def drop_table(cursor: Cursor, table: Table) -> None:
    """Removes a table with its rows."""
    cursor.execute("DELETE FROM meta.tables WHERE id = $id", {"id": table.id})
    cursor.execute("DELETE FROM meta.partitions WHERE table_id = $id", {"id": table.id})
    table.changed_in(cursor).drop(table.segments)
    cursor.execute(f"DROP TABLE {segments.template(table.id)}")
