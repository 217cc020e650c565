"""The views of INFORMATION_SCHEMA of a dataset, a region or the project, and __TABLES__."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bigquery_emulator.sql.job_metadata import JOB_COLUMNS, job_rows
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Dataset, Table
from bigquery_emulator.storage.column_types import Field, api_type, standard_name
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partition_sizes import partition_sizes

Row = list[Any]


def metadata_view(
    cursor: Cursor, project: str, dataset: str, view: str
) -> tuple[exp.Expr, list[Field]] | None:
    """A metadata view as a subquery with its rows written out, or None if there is no such view.

    Args:
        cursor: in the query's transaction.
        project: of the dataset.
        dataset: the dataset; or ``region-us`` for all of a location, empty for all.
        view: the view's name.

    Returns:
        The subquery, for DuckDB, and its columns.

    Raises:
        ApiError: there is no such dataset.
    """
    if view not in _VIEWS:
        return None
    columns, rows_of = _VIEWS[view]
    datasets = _datasets(cursor, project, dataset)
    if view in _OF_DATASETS:
        rows = [row for one in datasets for row in _OF_DATASETS[view](one)]
    elif view in ("JOBS", "JOBS_BY_PROJECT"):
        rows = job_rows(cursor, project)
    else:
        tables = [
            table for one in datasets for table in catalog.list_tables(cursor, project, one.dataset)
        ]
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


def _datasets(cursor: Cursor, project: str, dataset: str) -> list[Dataset]:
    region = dataset.lower().removeprefix("region-")
    if dataset and region == dataset.lower():
        return [catalog.find_dataset(cursor, project, dataset)]
    every = catalog.list_datasets(cursor, project)
    listed = [one for one in every if not one.is_hidden]
    return [one for one in listed if not dataset or one.location.lower() == region]


def _constant(value: Any) -> exp.Expr:
    if value is None:
        return exp.Null()
    if isinstance(value, tuple):
        micros = exp.Literal.number(value[0] * 1000)
        return exp.Anonymous(this="make_timestamptz", expressions=[micros])
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(value)


def _tables(_: Cursor, table: Table) -> list[Row]:
    name = table.name
    return [
        [
            name.project,
            name.dataset,
            name.table,
            "VIEW" if table.is_view else "BASE TABLE",
            "NO" if table.is_view else "YES",
            "NO",
            (table.created_ms,),
        ]
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
            2 if table.is_view else 1,
        ]
    ]


def _views(_: Cursor, table: Table) -> list[Row]:
    name = table.name
    if not table.is_view:
        return []
    query = table.resource["view"]["query"]
    return [[name.project, name.dataset, name.table, query, None, "YES"]]


def _field_paths(_: Cursor, table: Table) -> list[Row]:
    rows: list[Row] = []

    def add(column: str, path: str, field: Field) -> None:
        names = [table.name.project, table.name.dataset, table.name.table, column, path]
        rows.append([*names, standard_name(field), field.get("description")])
        for part in field.get("fields", ()):
            add(column, f"{path}.{part['name']}", part)

    for field in table.fields:
        add(field["name"], field["name"], field)
    return rows


def _table_options(_: Cursor, table: Table) -> list[Row]:
    name, resource = table.name, table.resource
    found: list[tuple[str, str, str]] = []
    for option, key in (("description", "description"), ("friendly_name", "friendlyName")):
        if resource.get(key):
            found.append((option, "STRING", json.dumps(resource[key])))
    if resource.get("labels"):
        pairs = ", ".join(
            f"STRUCT({json.dumps(key)}, {json.dumps(value)})"
            for key, value in resource["labels"].items()
        )
        found.append(("labels", "ARRAY<STRUCT<STRING, STRING>>", f"[{pairs}]"))
    if resource.get("requirePartitionFilter"):
        found.append(("require_partition_filter", "BOOL", "true"))
    if resource.get("expirationTime"):
        moment = datetime.datetime.fromtimestamp(
            int(resource["expirationTime"]) / 1000, datetime.UTC
        )
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        found.append(("expiration_timestamp", "TIMESTAMP", f'TIMESTAMP "{text}Z"'))
    return [[name.project, name.dataset, name.table, *option] for option in found]


def _schemata(dataset: Dataset) -> list[Row]:
    created, modified = (dataset.created_ms,), (dataset.modified_ms,)
    return [[dataset.project, dataset.dataset, None, created, modified, dataset.location]]


def _none(_: Cursor, __: Table) -> list[Row]:
    return []


_OF_DATASETS: dict[str, Callable[[Dataset], list[Row]]] = {"SCHEMATA": _schemata}
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
    "VIEWS": (
        _NAMES
        | {"view_definition": "STRING", "check_option": "STRING", "use_standard_sql": "STRING"},
        _views,
    ),
    "MATERIALIZED_VIEWS": (_NAMES | {"last_refresh_time": "TIMESTAMP"}, _none),
    "COLUMN_FIELD_PATHS": (
        _NAMES
        | {
            "column_name": "STRING",
            "field_path": "STRING",
            "data_type": "STRING",
            "description": "STRING",
        },
        _field_paths,
    ),
    "TABLE_OPTIONS": (
        _NAMES | {"option_name": "STRING", "option_type": "STRING", "option_value": "STRING"},
        _table_options,
    ),
    "SCHEMATA": (
        {
            "catalog_name": "STRING",
            "schema_name": "STRING",
            "schema_owner": "STRING",
            "creation_time": "TIMESTAMP",
            "last_modified_time": "TIMESTAMP",
            "location": "STRING",
        },
        _none,
    ),
    "JOBS": (JOB_COLUMNS, _none),
    "JOBS_BY_PROJECT": (JOB_COLUMNS, _none),
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
