"""INFORMATION_SCHEMA.TABLES, COLUMNS and PARTITIONS of a dataset, and its __TABLES__."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table
from bigquery_emulator.storage.column_types import Field, api_type, standard_name
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partition_sizes import partition_sizes

Row = list[Any]


def metadata_view(
    cursor: Cursor, project: str, dataset: str, view: str
) -> tuple[exp.Expr, list[Field]] | None:
    """A metadata view as a subquery with its rows written out, or None if there is no such view.

    Returns:
        The subquery, for DuckDB, and its columns.

    Raises:
        ApiError: there is no such dataset.
    """
    if view not in _VIEWS:
        return None
    columns, rows_of = _VIEWS[view]
    tables = catalog.list_tables(cursor, project, dataset)
    rows = [row for table in tables for row in rows_of(cursor, table)]
    # A first row of typed NULLs gives the columns their types; the condition removes it.
    typed = [exp.cast(exp.Null(), kind, dialect="bigquery") for kind in columns.values()]
    for one in typed:
        one.meta["native_cast"] = True
    tuples = [exp.Tuple(expressions=typed)]
    tuples += [exp.Tuple(expressions=[_constant(value) for value in row]) for row in rows]
    names = [exp.to_identifier(name, quoted=True) for name in columns]
    alias = exp.TableAlias(this=exp.to_identifier("v"), columns=names)
    values = exp.Values(expressions=tuples, alias=alias)
    first = exp.column(next(iter(columns)), quoted=True)
    present = exp.Not(this=exp.Is(this=first, expression=exp.Null()))
    fields = [
        {"name": name, "type": api_type(kind), "mode": "NULLABLE"} for name, kind in columns.items()
    ]
    return exp.Subquery(this=exp.select("*").from_(values).where(present)), fields


def _constant(value: Any) -> exp.Expr:
    if value is None:
        return exp.Null()
    if isinstance(value, tuple):
        micros = exp.Literal.number(value[0] * 1000)
        return exp.Anonymous(this="make_timestamptz", expressions=[micros])
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(value)


def _tables(_: Cursor, table: Table) -> list[Row]:
    name = table.name
    return [
        [name.project, name.dataset, name.table, "BASE TABLE", "YES", "NO", (table.created_ms,)]
    ]


def _columns(_: Cursor, table: Table) -> list[Row]:
    name = table.name
    partitioned = table.partitioning.field if table.partitioning else None
    clustered = table.resource.get("clustering", {}).get("fields", [])
    return [
        [
            name.project,
            name.dataset,
            name.table,
            field["name"],
            position,
            "NO" if field["mode"] == "REQUIRED" else "YES",
            standard_name(field),
            "NO",
            "YES" if field["name"] == partitioned else "NO",
            clustered.index(field["name"]) + 1 if field["name"] in clustered else None,
        ]
        for position, field in enumerate(table.fields, start=1)
    ]


def _partitions(cursor: Cursor, table: Table) -> list[Row]:
    name = table.name
    return [
        [
            name.project,
            name.dataset,
            name.table,
            size.partition_id,
            size.num_rows,
            size.num_bytes,
            (size.modified_ms,),
            "ACTIVE",
        ]
        for size in partition_sizes(cursor, table)
    ]


def _legacy_tables(cursor: Cursor, table: Table) -> list[Row]:
    name = table.name
    sizes = partition_sizes(cursor, table)
    return [
        [
            name.project,
            name.dataset,
            name.table,
            table.created_ms,
            table.modified_ms,
            sum(size.num_rows for size in sizes),
            sum(size.num_bytes for size in sizes),
            1,
        ]
    ]


_NAMES = {"table_catalog": "STRING", "table_schema": "STRING", "table_name": "STRING"}
_VIEWS: dict[str, tuple[dict[str, str], Callable[[Cursor, Table], list[Row]]]] = {
    "TABLES": (
        _NAMES
        | {
            "table_type": "STRING",
            "is_insertable_into": "STRING",
            "is_typed": "STRING",
            "creation_time": "TIMESTAMP",
        },
        _tables,
    ),
    "COLUMNS": (
        _NAMES
        | {
            "column_name": "STRING",
            "ordinal_position": "INT64",
            "is_nullable": "STRING",
            "data_type": "STRING",
            "is_hidden": "STRING",
            "is_partitioning_column": "STRING",
            "clustering_ordinal_position": "INT64",
        },
        _columns,
    ),
    "PARTITIONS": (
        _NAMES
        | {
            "partition_id": "STRING",
            "total_rows": "INT64",
            "total_logical_bytes": "INT64",
            "last_modified_time": "TIMESTAMP",
            "storage_tier": "STRING",
        },
        _partitions,
    ),
    "__TABLES__": (
        {
            "project_id": "STRING",
            "dataset_id": "STRING",
            "table_id": "STRING",
            "creation_time": "INT64",
            "last_modified_time": "INT64",
            "row_count": "INT64",
            "size_bytes": "INT64",
            "type": "INT64",
        },
        _legacy_tables,
    ),
}
