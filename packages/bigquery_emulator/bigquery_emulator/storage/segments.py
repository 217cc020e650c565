"""A table's rows: DuckDB tables that are filled once, and then only read or dropped.

A change of a table never writes where a reader may look. It fills a new segment and exchanges the
list of segments, a few small rows, in the same transaction. DuckDB 2.0 shows a reader the rows of a
large INSERT while it commits, so replacing rows in place let readers count both the old month and
the new one, about once in fifty reads of a table that was being loaded.

A segment has the rows of one partition, or of any (then its partition id is None).
"""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb

from bigquery_emulator.errors import OWN_MARK, ApiError, invalid
from bigquery_emulator.storage.column_types import Field, column_definition
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partitioning import TimePartitioning
from bigquery_emulator.storage.quoting import quoted
from bigquery_emulator.storage.type_limits import has_limits, limited

# More segments than this for the same partition are copied into one.
_MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Segment:
    """One DuckDB table with some of a table's rows."""

    id: int
    partition_id: str | None = None

    @property
    def relation(self) -> str:
        """The segment's name, as SQL."""
        return f"data.s{self.id}"


def rows_of(table_id: int, segments: list[Segment]) -> str:
    """A table's rows, as SQL for a FROM clause; without segments, those of its empty template."""
    relations = [segment.relation for segment in segments] or [template(table_id)]
    if len(relations) == 1:
        return relations[0]
    return f"({' UNION ALL '.join(f'SELECT * FROM {relation}' for relation in relations)})"


def template(table_id: int) -> str:
    """The name of the DuckDB table that has a table's columns and never a row, as SQL."""
    return f"data.t{table_id}"


def create_relation(cursor: Cursor, relation: str, fields: list[Field]) -> None:
    """Makes an empty DuckDB table with a table's columns."""
    columns = ", ".join(column_definition(field) for field in fields)
    # DuckDB has no table without columns; BigQuery has, until the first load brings some.
    cursor.execute(f"CREATE TABLE {relation} ({columns or '_no_columns BOOLEAN'})")


def settle(
    cursor: Cursor,
    relation: str,
    fields: list[Field],
    refused: Callable[[str], ApiError] = invalid,
) -> None:
    """Makes what was written into a segment what its columns keep.

    A column of BigQuery has no NULL array, and its values keep the limits of its type.

    Args:
        cursor: in the transaction of the writing.
        relation: the segment.
        fields: its columns.
        refused: makes the error for a value beyond the limits.

    Raises:
        ApiError: there is such a value.
    """
    keep_limits(cursor, relation, fields, refused)
    for field in fields:
        if field["mode"] == "REPEATED":
            name = quoted(field["name"])
            holed = f"len(list_filter({name}, lambda e: e IS NULL)) > 0"
            if cursor.execute(f"SELECT 1 FROM {relation} WHERE {holed} LIMIT 1").fetchone():
                raise refused(
                    f"Array cannot have a null element; error in writing field {field['name']}"
                )
            cursor.execute(f"UPDATE {relation} SET {name} = [] WHERE {name} IS NULL")


def keep_limits(
    cursor: Cursor, relation: str, fields: list[Field], refused: Callable[[str], ApiError]
) -> None:
    """Rounds the numbers of a segment to their scales, and refuses values beyond the limits.

    Raises:
        ApiError: there is such a value.
    """
    changes = {
        quoted(field["name"]): limited(quoted(field["name"]), field)
        for field in fields
        if has_limits(field)
    }
    if not changes:
        return
    values = ", ".join(f"{name} = {kept}" for name, kept in changes.items())
    changed = " OR ".join(f"{name} IS DISTINCT FROM {kept}" for name, kept in changes.items())
    try:
        cursor.execute(f"UPDATE {relation} SET {values} WHERE {changed}")
    except duckdb.Error as error:
        if OWN_MARK not in str(error):
            raise
        raise refused(str(error).partition(OWN_MARK)[2]) from error


class TableSegments:
    """The segments of one table, changed in the caller's transaction."""

    def __init__(
        self, cursor: Cursor, table_id: int, fields: list[Field], segments: list[Segment]
    ) -> None:
        self._cursor = cursor
        self._table_id = table_id
        self._fields = fields
        self.segments = segments

    def add(self, segment: Segment) -> None:
        """Lists a segment that was filled."""
        self._cursor.execute(
            "INSERT INTO meta.segments VALUES ($table, $segment, $partition)",
            {"table": self._table_id, "segment": segment.id, "partition": segment.partition_id},
        )
        self.segments.append(segment)

    def drop(self, segments: list[Segment]) -> None:
        """Drops segments with their rows."""
        for segment in list(segments):
            self._cursor.execute(
                "DELETE FROM meta.segments WHERE segment_id = $id", {"id": segment.id}
            )
            self._cursor.execute(f"DROP TABLE {segment.relation}")
            self.segments.remove(segment)

    def new(self, next_id: Callable[[], int], partition_id: str | None = None) -> Segment:
        """An empty segment, to be filled and added."""
        segment = Segment(next_id(), partition_id)
        create_relation(self._cursor, segment.relation, self._fields)
        return segment

    def remove_partition(
        self, partitioning: TimePartitioning, partition_id: str, next_id: Callable[[], int]
    ) -> None:
        """Drops the rows of one partition, wherever they lie."""
        self.drop([one for one in self.segments if one.partition_id == partition_id])
        where, bounds = partitioning.rows_of(partition_id)
        for mixed in [one for one in self.segments if one.partition_id is None]:
            sql = f"SELECT 1 FROM {mixed.relation} WHERE {where} LIMIT 1"
            if self._cursor.execute(sql, bounds).fetchone():
                # The condition is NULL for a row without a date, which is in another partition.
                others = f"NOT coalesce({where}, false)"
                self._copied([mixed], self.new(next_id), others, bounds)

    def _copied(
        self, old: list[Segment], new: Segment, where: str = "true", bounds: Any = None
    ) -> None:
        source = rows_of(self._table_id, old)
        self._cursor.execute(
            f"INSERT INTO {new.relation} SELECT * FROM {source} WHERE {where}", bounds or {}
        )
        self.drop(old)
        self.add(new)

    def merge_small(self, next_id: Callable[[], int]) -> None:
        """Copies segments of the same partition into one, when there are many of them."""
        by_partition: defaultdict[str | None, list[Segment]] = defaultdict(list)
        for segment in self.segments:
            by_partition[segment.partition_id].append(segment)
        for partition_id, segments in by_partition.items():
            if len(segments) > _MOST_SEGMENTS:
                self._copied(segments, self.new(next_id, partition_id))
