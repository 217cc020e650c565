"""Where a load or query job writes: dispositions, schema compatibility, and the writing itself.

Everything happens in the caller's transaction, so that readers see the table or the partition as it
was before or as it is after.
"""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb

from taxi_platform.local.bigquery import catalog
from taxi_platform.local.bigquery.catalog import Table, TableName
from taxi_platform.local.bigquery.column_types import Field, column_definition, field_named
from taxi_platform.local.bigquery.errors import ApiError, duplicate, invalid, not_found, unsupported
from taxi_platform.local.bigquery.partitioning import (
    TimePartitioning,
    checked_partition_id,
    split_decorator,
)
from taxi_platform.local.bigquery.storage import Cursor, quoted

_WRITE = ("WRITE_TRUNCATE", "WRITE_APPEND", "WRITE_EMPTY")
_CREATE = ("CREATE_IF_NEEDED", "CREATE_NEVER")
_UPDATES = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")


@dataclass(frozen=True)
class Destination:
    """The table, or the partition of one, that a job writes, and how.

    Attributes:
        name: the table, without decorator.
        partition_id: the decorator, if the request had one; not yet checked.
        write: the writeDisposition.
        create: the createDisposition.
        schema_updates: the schemaUpdateOptions.
        partitioning: the timePartitioning asked for, as the API has it.
        clustering: the clustering asked for, as the API has it.
        description: of a table to be created.
    """

    name: TableName
    partition_id: str | None
    write: str
    create: str
    schema_updates: frozenset[str]
    partitioning: dict[str, Any] | None = None
    clustering: dict[str, Any] | None = None
    description: str | None = None

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], default_write: str) -> Destination:
        """Reads the part that the API's load and query configurations share.

        Raises:
            ApiError: a value is not one of the API's, or not supported.
        """
        name = TableName.from_reference(configuration["destinationTable"])
        table, partition_id = split_decorator(name.table)
        updates = frozenset(configuration.get("schemaUpdateOptions") or ())
        properties = configuration.get("destinationTableProperties") or {}
        if extra := sorted(set(properties) - {"description"}):
            raise unsupported(f"destinationTableProperties.{extra[0]}")
        if unknown := updates.difference(_UPDATES):
            raise invalid(f"Invalid value for schemaUpdateOptions: {min(unknown)}")
        return cls(
            name=TableName(name.project, name.dataset, table),
            partition_id=partition_id,
            write=_one_of(_WRITE, configuration.get("writeDisposition"), default_write),
            create=_one_of(_CREATE, configuration.get("createDisposition"), _CREATE[0]),
            schema_updates=updates,
            partitioning=configuration.get("timePartitioning") or None,
            clustering=configuration.get("clustering") or None,
            description=properties.get("description"),
        )

    @property
    def lock_key(self) -> tuple[str, str, str]:
        """What to lock before writing."""
        return (self.name.project, self.name.dataset, self.name.table)

    @property
    def replaces_schema(self) -> bool:
        """Whether the whole table is replaced, and its columns with it."""
        return self.write == "WRITE_TRUNCATE" and self.partition_id is None

    def prepared(
        self,
        cursor: Cursor,
        incoming: list[Field],
        next_id: Callable[[], int],
        *,
        modes_count: bool,
    ) -> Target:
        """Makes the table ready for the rows: created, emptied, or given new columns.

        Args:
            cursor: in the caller's transaction.
            incoming: the columns that the rows have.
            next_id: gives the number of a new table.
            modes_count: whether the columns' modes were declared by the client.

        Raises:
            ApiError: BigQuery would refuse to write these columns there.
        """
        table = catalog.find_table_or_none(cursor, self.name)
        if table is None:
            if self.create == "CREATE_NEVER":
                raise not_found(f"Table {self.name}")
            return self._created(cursor, incoming, next_id())
        self._check_layout(table)
        partition_id = checked_partition_id(table.partitioning, self.partition_id, str(self.name))
        sizes = catalog.partition_sizes(cursor, table)
        if self.write == "WRITE_EMPTY" and any(
            size.num_rows for size in sizes if partition_id in (None, size.partition_id)
        ):
            raise duplicate(f"Table {self.name}{f'${partition_id}' if partition_id else ''}")
        if self.replaces_schema or not table.fields:
            return self._replaced(cursor, table, incoming, next_id())
        self._adapt_columns(cursor, table, incoming, modes_count=modes_count)
        target = Target(table, partition_id, sum(size.num_bytes for size in sizes))
        if self.write == "WRITE_TRUNCATE":
            target.delete_partition(cursor, sizes)
        return target

    def _created(self, cursor: Cursor, incoming: list[Field], table_id: int) -> Target:
        if self.partition_id and not self.partitioning:
            raise unsupported("partitioning by ingestion time")
        partitioning = TimePartitioning.from_resource(self.partitioning, incoming)
        partition_id = checked_partition_id(partitioning, self.partition_id, str(self.name))
        resource: dict[str, Any] = {"schema": {"fields": incoming}}
        if self.partitioning and partitioning:
            resource["timePartitioning"] = partitioning.resource()
        if self.clustering:
            resource["clustering"] = checked_clustering(self.clustering, incoming)
        if self.description:
            resource["description"] = self.description
        table = catalog.create_table(cursor, table_id, self.name, resource)
        return Target(table, partition_id, 0)

    def _replaced(self, cursor: Cursor, old: Table, incoming: list[Field], table_id: int) -> Target:
        """A new, empty table in the place of the old one, with the columns of the new rows."""
        TimePartitioning.from_resource(old.resource.get("timePartitioning"), incoming)
        if "clustering" in old.resource:
            checked_clustering(old.resource["clustering"], incoming)
        catalog.drop_table(cursor, old)
        resource = old.resource | {"schema": {"fields": incoming}}
        table = catalog.create_table(cursor, table_id, old.name, resource)
        table.created_ms = old.created_ms
        return Target(table, None, 0)

    def _check_layout(self, table: Table) -> None:
        if self.partitioning:
            wanted = TimePartitioning.from_resource(self.partitioning, table.fields)
            if wanted != table.partitioning:
                raise invalid(
                    "Incompatible table partitioning specification. Expects partitioning "
                    f"specification {_interval(table.partitioning)}, but input partitioning "
                    f"specification is {_interval(wanted)}"
                )
        if self.clustering and self.write != "WRITE_TRUNCATE":
            wanted_fields = self.clustering.get("fields")
            if wanted_fields != table.resource.get("clustering", {}).get("fields"):
                raise invalid("Incompatible table clustering specification.")

    def _adapt_columns(
        self, cursor: Cursor, table: Table, incoming: list[Field], *, modes_count: bool
    ) -> None:
        """Checks the incoming columns against the table's, and adds what may be added."""
        may_relax = "ALLOW_FIELD_RELAXATION" in self.schema_updates
        for field in incoming:
            held = field_named(table.fields, field["name"])
            if held is None:
                if "ALLOW_FIELD_ADDITION" not in self.schema_updates:
                    raise schema_mismatch(self.name, f"Cannot add fields (field: {field['name']})")
                add_column(cursor, table, field)
                continue
            check_same_type(self.name, held, field)
            relaxed = held["mode"] == "REQUIRED" and field["mode"] == "NULLABLE" and modes_count
            if relaxed and not may_relax:
                raise schema_mismatch(
                    self.name,
                    f"Field {held['name']} has changed mode from REQUIRED to NULLABLE",
                )
            if relaxed:
                relax_column(cursor, table, held)
        for held in table.fields:
            if held["mode"] == "REQUIRED" and field_named(incoming, held["name"]) is None:
                if not may_relax:
                    raise schema_mismatch(
                        self.name, f"Field {held['name']} is missing in new schema"
                    )
                relax_column(cursor, table, held)
        catalog.save_table(cursor, table)


@dataclass
class Target:
    """A table that is ready for a job's rows."""

    table: Table
    partition_id: str | None
    bytes_before: int

    def delete_partition(self, cursor: Cursor, sizes: list[catalog.PartitionSize]) -> None:
        """Removes the rows of the partition that is about to be replaced."""
        assert self.table.partitioning is not None  # noqa: S101 - checked with the decorator
        where, parameters = self.table.partitioning.rows_of(str(self.partition_id))
        cursor.execute(f"DELETE FROM {self.table.relation} WHERE {where}", parameters)
        self.bytes_before -= sum(
            size.num_bytes for size in sizes if size.partition_id == self.partition_id
        )

    def insert(
        self, cursor: Cursor, columns: list[str], select: str, parameters: dict[str, Any]
    ) -> int:
        """Inserts the rows of a SELECT and says how many they were.

        Raises:
            ApiError: a row belongs to another partition, or lacks a required value.
        """
        before = self._rows_of_partition(cursor)
        names = ", ".join(quoted(name) for name in columns)
        try:
            row = cursor.execute(
                f"INSERT INTO {self.table.relation} ({names}) {select}", parameters
            ).fetchone()
        except duckdb.ConstraintException as error:
            column = str(error).rsplit(".", 1)[-1].strip()
            raise invalid(f"Required field {column} cannot be null") from error
        inserted = int(row[0]) if row else 0
        if self.partition_id and self._rows_of_partition(cursor) - before != inserted:
            raise invalid(
                "Some rows belong to different partitions rather than destination partition "
                f"{self.partition_id}"
            )
        return inserted

    def _rows_of_partition(self, cursor: Cursor) -> int:
        if self.partition_id is None or self.table.partitioning is None:
            return 0
        where, parameters = self.table.partitioning.rows_of(self.partition_id)
        row = cursor.execute(
            f"SELECT count(*) FROM {self.table.relation} WHERE {where}", parameters
        ).fetchone()
        return int(row[0]) if row else 0

    def measured(self, cursor: Cursor) -> int:
        """Counts what the table now holds, and says how many bytes the job wrote."""
        catalog.measure(cursor, self.table, self.partition_id)
        sizes = catalog.partition_sizes(cursor, self.table)
        return sum(size.num_bytes for size in sizes) - self.bytes_before


def add_column(cursor: Cursor, table: Table, field: Field) -> None:
    """Adds a column to a table that may have rows; the caller saves the entry.

    Raises:
        ApiError: the column is REQUIRED.
    """
    if field["mode"] == "REQUIRED":
        raise schema_mismatch(
            table.name,
            f"Cannot add required fields to an existing schema. (field: {field['name']})",
        )
    cursor.execute(f"ALTER TABLE {table.relation} ADD COLUMN {column_definition(field)}")
    table.resource["schema"]["fields"] = [*table.fields, field]


def relax_column(cursor: Cursor, table: Table, held: Field) -> None:
    """Makes a REQUIRED column NULLABLE; the caller saves the entry."""
    name = quoted(held["name"])
    cursor.execute(f"ALTER TABLE {table.relation} ALTER COLUMN {name} DROP NOT NULL")
    held["mode"] = "NULLABLE"


def checked_clustering(clustering: dict[str, Any], fields: list[Field]) -> dict[str, Any]:
    """The API's clustering, if the table has such columns.

    Raises:
        ApiError: a column does not exist, or there are too many.
    """
    names = clustering.get("fields") or []
    if not 1 <= len(names) <= 4:
        raise invalid("Clustering requires between 1 and 4 fields")
    for name in names:
        field = field_named(fields, name)
        if field is None:
            raise invalid(
                "The field specified for clustering cannot be found in the schema. Invalid field: "
                f"{name}."
            )
        if field["type"] in ("FLOAT", "RECORD", "BYTES", "TIME") or field["mode"] == "REPEATED":
            raise invalid(
                f"Clustering is not supported on non-scalar or unsupported column {name} of type "
                f"{field['type']}"
            )
    return {"fields": list(names)}


def check_same_type(table: TableName, held: Field, field: Field) -> None:
    """Refuses a column whose type differs from the table's.

    Raises:
        ApiError: it differs.
    """
    if held["type"] != field["type"]:
        raise schema_mismatch(
            table,
            f"Field {held['name']} has changed type from {held['type']} to {field['type']}",
        )
    if (held["mode"] == "REPEATED") != (field["mode"] == "REPEATED"):
        raise schema_mismatch(
            table,
            f"Field {held['name']} has changed mode from {held['mode']} to {field['mode']}",
        )
    if held["type"] == "RECORD":
        names = [[part["name"].lower() for part in one["fields"]] for one in (held, field)]
        if names[0] != names[1]:
            raise unsupported("changes of the fields of a RECORD column")
        for held_part, part in zip(held["fields"], field["fields"], strict=True):
            check_same_type(table, held_part, part)


def schema_mismatch(table: TableName, detail: str) -> ApiError:
    """BigQuery's complaint about columns that do not fit a table."""
    return invalid(f"Provided Schema does not match Table {table}. {detail}")


def _interval(partitioning: TimePartitioning | None) -> str:
    if partitioning is None:
        return "none"
    return f"interval(type:{partitioning.type.lower()},field:{partitioning.field})"


def _one_of(allowed: tuple[str, ...], value: str | None, default: str) -> str:
    value = (value or default).upper()
    if value not in allowed:
        if value == "WRITE_TRUNCATE_DATA":
            raise unsupported("the write disposition WRITE_TRUNCATE_DATA")
        raise invalid(f"Invalid value: {value} is not a valid value")
    return value
