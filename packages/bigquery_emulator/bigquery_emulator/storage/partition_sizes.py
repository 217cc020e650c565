"""How many rows and bytes each partition has, and which columns of it hold a NaN.

Counted when rows are written, in the same transaction, and read from there.
"""

# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from dataclasses import dataclass

from bigquery_emulator.storage.catalog import Table, save_table
from bigquery_emulator.storage.column_types import logical_bytes, nan_columns
from bigquery_emulator.storage.database import Cursor


@dataclass(frozen=True)
class PartitionSize:
    """What is known of a partition; the id is None in a table without partitions."""

    partition_id: str | None
    num_rows: int
    num_bytes: int
    modified_ms: int
    nan_columns: list[str]


def partition_sizes(cursor: Cursor, table: Table) -> list[PartitionSize]:
    """The sizes of a table's partitions, by id; of the whole table if it has none."""
    rows = cursor.execute(
        "SELECT partition_id, num_rows, num_bytes, modified_ms, nan_columns FROM meta.partitions "
        "WHERE table_id = $id ORDER BY partition_id",
        {"id": table.id},
    ).fetchall()
    return [PartitionSize(*row) for row in rows]


def measure(
    cursor: Cursor, table: Table, partition_id: str | None = None, *, all_changed: bool = True
) -> None:
    """Counts the rows and bytes of a table, or of one partition, after they were written.

    Args:
        cursor: in the transaction that wrote the rows.
        table: the table that was written; its time of change is set.
        partition_id: the partition that was written, if only one was.
        all_changed: whether partitions of the same size count as changed.
    """
    before = {size.partition_id: size for size in partition_sizes(cursor, table)}
    save_table(cursor, table)
    bounds: dict[str, str] = {}
    where, number = "true", "CAST(NULL AS BIGINT)"
    partitioning = table.partitioning
    if partitioning:
        number = partitioning.number_sql()
        if partition_id:
            where, bounds = partitioning.rows_of(partition_id)
    counted = cursor.execute(
        f"SELECT {number}, count(*), {logical_bytes(table.fields)}, {nan_columns(table.fields)} "
        f"FROM {table.relation} WHERE {where} GROUP BY 1",
        bounds,
    ).fetchall()
    for old in before.values():
        if partition_id in (None, old.partition_id):
            cursor.execute(
                "DELETE FROM meta.partitions WHERE table_id = $id "
                "AND partition_id IS NOT DISTINCT FROM $partition",
                {"id": table.id, "partition": old.partition_id},
            )
    for counted_number, num_rows, num_bytes, nans in counted:
        counted_id = partitioning.partition_id_of(counted_number) if partitioning else None
        known = before.get(counted_id)
        same = known is not None and (known.num_rows, known.num_bytes) == (num_rows, num_bytes)
        untouched = known is not None and same and not all_changed and partition_id is None
        modified = known.modified_ms if known and untouched else table.modified_ms
        cursor.execute(
            "INSERT INTO meta.partitions VALUES ($id, $partition, $rows, $bytes, $modified, $nans)",
            {
                "id": table.id,
                "partition": counted_id,
                "rows": num_rows,
                "bytes": num_bytes,
                "modified": modified,
                "nans": nans,
            },
        )
