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

from bigquery_emulator.errors import duplicate, invalid, not_found, unsupported
from bigquery_emulator.storage import catalog, segments
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import Field, field_named, logical_bytes
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partition_sizes import measure, partition_sizes
from bigquery_emulator.storage.partitioning import (
    TimePartitioning,
    checked_clustering,
    checked_partition_id,
    split_decorator,
)
from bigquery_emulator.storage.quoting import quoted
from bigquery_emulator.storage.schema_change import (
    add_column,
    check_same_type,
    relax_column,
    schema_mismatch,
)

_WRITE = ("WRITE_TRUNCATE", "WRITE_APPEND", "WRITE_EMPTY")
_CREATE = ("CREATE_IF_NEEDED", "CREATE_NEVER")
_UPDATES = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")
# Write dispositions, and whether for a whole table, that go with schemaUpdateOptions.
_MAY_UPDATE_SCHEMA = {("WRITE_APPEND", True), ("WRITE_APPEND", False), ("WRITE_TRUNCATE", False)}


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
        write = _one_of(_WRITE, configuration.get("writeDisposition"), default_write)
        if updates and (write, partition_id is None) not in _MAY_UPDATE_SCHEMA:
            raise invalid(
                "Schema update options should only be specified with WRITE_APPEND disposition, or "
                "with WRITE_TRUNCATE disposition on a table partition."
            )
        return cls(
            name=TableName(name.project, name.dataset, table),
            partition_id=partition_id,
            write=write,
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
            table, partition_id = self._created(cursor, incoming, next_id())
            return Target(cursor, table, partition_id, next_id)
        if table.is_view:
            raise invalid(f"Cannot write to the view {self.name}")
        self._check_layout(table)
        partition_id = checked_partition_id(table.partitioning, self.partition_id, str(self.name))
        if self.write == "WRITE_EMPTY" and any(
            size.num_rows
            for size in partition_sizes(cursor, table)
            if partition_id in (None, size.partition_id)
        ):
            raise duplicate(f"Table {self.name}{f'${partition_id}' if partition_id else ''}")
        if self.replaces_schema or not table.fields:
            table = self._replaced(cursor, table, incoming, next_id())
            return Target(cursor, table, partition_id, next_id)
        self._adapt_columns(cursor, table, incoming, modes_count=modes_count)
        return Target(cursor, table, partition_id, next_id, replaces=self.write == "WRITE_TRUNCATE")

    def _created(
        self, cursor: Cursor, incoming: list[Field], table_id: int
    ) -> tuple[Table, str | None]:
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
        return catalog.create_table(cursor, table_id, self.name, resource), partition_id

    def _replaced(self, cursor: Cursor, old: Table, incoming: list[Field], table_id: int) -> Table:
        """A new, empty table in the place of the old one, with the columns of the new rows."""
        TimePartitioning.from_resource(old.resource.get("timePartitioning"), incoming)
        if "clustering" in old.resource:
            checked_clustering(old.resource["clustering"], incoming)
        catalog.drop_table(cursor, old)
        resource = old.resource | {"schema": {"fields": incoming}}
        table = catalog.create_table(cursor, table_id, old.name, resource)
        table.created_ms = old.created_ms
        return table

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
            existing = field_named(table.fields, field["name"])
            if existing is None:
                if "ALLOW_FIELD_ADDITION" not in self.schema_updates:
                    raise schema_mismatch(self.name, f"Cannot add fields (field: {field['name']})")
                add_column(cursor, table, field)
                continue
            check_same_type(self.name, existing, field)
            relaxed = existing["mode"] == "REQUIRED" and field["mode"] == "NULLABLE" and modes_count
            if relaxed and not may_relax:
                raise schema_mismatch(
                    self.name,
                    f"Field {existing['name']} has changed mode from REQUIRED to NULLABLE",
                )
            if relaxed:
                relax_column(cursor, table, existing)
        for existing in table.fields:
            if existing["mode"] == "REQUIRED" and field_named(incoming, existing["name"]) is None:
                if not may_relax:
                    raise schema_mismatch(
                        self.name, f"Field {existing['name']} is missing in new schema"
                    )
                relax_column(cursor, table, existing)
        catalog.save_table(cursor, table)


class Target:
    """A new segment of a table for a job's rows; readers see it when all is done.

    Args:
        cursor: in the transaction of the job.
        table: the table.
        partition_id: the partition that all rows must belong to, if there is one.
        next_id: gives the numbers of segments.
        replaces: whether the rows take the place of the partition's.
    """

    def __init__(
        self,
        cursor: Cursor,
        table: Table,
        partition_id: str | None,
        next_id: Callable[[], int],
        *,
        replaces: bool = False,
    ) -> None:
        self.table = table
        self._cursor = cursor
        self._partition_id = partition_id
        self._next_id = next_id
        self._replaces = replaces
        self._segment = table.changed_in(cursor).new(next_id, partition_id)
        self._inserted = 0

    def insert(self, columns: list[str], select: str, parameters: dict[str, Any]) -> int:
        """Inserts the rows of a SELECT and says how many they were.

        Raises:
            ApiError: a row lacks a required value, or one is beyond the limits of its type.
        """
        names = ", ".join(quoted(name) for name in columns)
        try:
            row = self._cursor.execute(
                f"INSERT INTO {self._segment.relation} ({names}) {select}", parameters
            ).fetchone()
        except duckdb.ConstraintException as error:
            column = str(error).rsplit(".", 1)[-1].strip()
            raise invalid(f"Required field {column} cannot be null") from error
        segments.settle(self._cursor, self._segment.relation, self.table.fields)
        inserted = int(row[0]) if row else 0
        self._inserted += inserted
        return inserted

    def finish(self) -> int:
        """Puts the segment in its place, and says how many bytes the job wrote.

        Raises:
            ApiError: a row belongs to another partition.
        """
        existing = self.table.changed_in(self._cursor)
        partitioning = self.table.partitioning
        if self._partition_id is not None and partitioning is not None:
            self._check_partition(partitioning, self._partition_id)
            if self._replaces:
                existing.remove_partition(partitioning, self._partition_id, self._next_id)
        existing.add(self._segment)
        row = self._cursor.execute(
            f"SELECT {logical_bytes(self.table.fields)} FROM {self._segment.relation}"
        ).fetchone()
        existing.merge_small(self._next_id)
        measure(self._cursor, self.table, self._partition_id, all_changed=False)
        return int(row[0]) if row else 0

    def _check_partition(self, partitioning: TimePartitioning, partition_id: str) -> None:
        where, bounds = partitioning.rows_of(partition_id)
        row = self._cursor.execute(
            f"SELECT count(*) FROM {self._segment.relation} WHERE {where}", bounds
        ).fetchone()
        if row is None or row[0] != self._inserted:
            raise invalid(
                "Some rows belong to different partitions rather than destination partition "
                f"{partition_id}"
            )


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
