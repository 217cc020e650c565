"""The API's tables: insert, get, list, patch, update, delete; and tabledata.list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigquery_emulator.api.http_calls import Call, etag, listed
from bigquery_emulator.api.pages import Page, read_page
from bigquery_emulator.errors import (
    ApiError,
    duplicate,
    invalid,
    not_found,
    precondition_failed,
    unsupported,
)
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.jobs.streaming import RowInserter
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import checked_fields, field_named
from bigquery_emulator.storage.database import Cursor, Storage
from bigquery_emulator.storage.partition_sizes import PartitionSize, measure, partition_sizes
from bigquery_emulator.storage.partitioning import checked_partition_id, split_decorator
from bigquery_emulator.storage.resources import (
    check_table_id,
    checked_layout_change,
    checked_table,
    checked_table_properties,
    merged_resource,
)
from bigquery_emulator.storage.results import ANONYMOUS_DATASET, ResultStore, ResultTable
from bigquery_emulator.storage.schema_change import change_schema


@dataclass(frozen=True)
class TableApi:
    """Answers requests about tables and their rows."""

    storage: Storage
    results: ResultStore
    rows: RowInserter

    def insert_all(self, call: Call) -> dict[str, Any]:
        """Inserts the rows of the request."""
        if call.body.get("templateSuffix"):
            raise unsupported("templateSuffix")
        given = call.body.get("rows") or []
        if not given:
            raise invalid("No rows present in the request.")
        errors = self.rows.insert(
            TableName(call.path["project"], call.path["dataset"], call.path["table"]),
            [row.get("json") for row in given],
            skip_invalid=bool(call.body.get("skipInvalidRows")),
            ignore_unknown=bool(call.body.get("ignoreUnknownValues")),
        )
        body: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        if errors:
            stopped = ApiError("stopped", "")
            left_out = errors if call.body.get("skipInvalidRows") else range(len(given))
            body["insertErrors"] = [
                {"index": at, "errors": [errors.get(at, stopped).proto()]} for at in left_out
            ]
        return body

    def insert(self, call: Call) -> dict[str, Any]:
        """Creates a table."""
        reference = call.body.get("tableReference") or {}
        name = TableName(call.path["project"], call.path["dataset"], reference.get("tableId") or "")
        check_table_id(name.table)
        resource = checked_table(call.body)
        if "view" in resource:
            resource["schema"] = {"fields": self._view_columns(call, resource["view"])}
        with (
            self.storage.locks.held_for(name.project, name.dataset, name.table),
            self.storage.transaction() as cursor,
        ):
            if catalog.find_table_or_none(cursor, name):
                raise duplicate(f"Table {name}")
            table = catalog.create_table(cursor, self.storage.next_id(), name, resource)
            measure(cursor, table)
            return _shown(cursor, table, call)

    def _view_columns(self, call: Call, view: dict[str, Any]) -> list[Any]:
        """The columns of a view's query, which is checked so."""
        configuration = {"query": view["query"], "useLegacySql": False}
        request = QueryRequest.from_configuration(configuration, call.path["project"])
        with self.storage.snapshot() as cursor:
            dataset = catalog.find_dataset(cursor, call.path["project"], call.path["dataset"])
            translation = Translation(cursor, request, dataset.location)
            return translation.described(translation.statement)

    def get(self, call: Call) -> dict[str, Any]:
        """Shows a table; with a decorator, with the size of the partition."""
        with self.storage.snapshot() as cursor:
            if call.path["dataset"] == ANONYMOUS_DATASET:
                result = self.results.find(cursor, call.path["table"])
                return _shown_result(result, call)
            table, partition_id = _named(cursor, call)
            return _shown(cursor, table, call, partition_id)

    def list(self, call: Call) -> dict[str, Any]:
        """Lists the tables of a dataset."""
        with self.storage.snapshot() as cursor:
            tables = catalog.list_tables(cursor, call.path["project"], call.path["dataset"])
        page, token = listed([_summary(table) for table in tables], call.query)
        body: dict[str, Any] = {
            "kind": "bigquery#tableList",
            "etag": etag(page),
            "totalItems": len(tables),
        }
        return body | token | ({"tables": page} if page else {})

    def patch(self, call: Call) -> dict[str, Any]:
        """Changes what the request names; a null removes it."""
        return self._changed(call, replace=False)

    def update(self, call: Call) -> dict[str, Any]:
        """Replaces everything that a client may set."""
        return self._changed(call, replace=True)

    def _changed(self, call: Call, *, replace: bool) -> dict[str, Any]:
        with (
            self.storage.locks.held_for(*_lock_key(call)),
            self.storage.transaction() as cursor,
        ):
            table, _ = _named(cursor, call)
            if call.if_match and call.if_match != _etag(table):
                raise precondition_failed()
            changes = checked_table_properties(call.body)
            if changes.get("view"):
                if not table.is_view:
                    raise invalid(f"The table {table.name} cannot become a view")
                table.resource["schema"] = {"fields": self._view_columns(call, changes["view"])}
            wanted = (changes.pop("schema", None) or {}).get("fields")
            if wanted is not None:
                change_schema(cursor, table, checked_fields(wanted))
            changes = checked_layout_change(table, changes)
            fixed: dict[str, Any] = {
                key: table.resource[key]
                for key in ("schema", "timePartitioning", "view")
                if key in table.resource
            }
            table.resource = merged_resource(fixed if replace else table.resource, changes)
            catalog.save_table(cursor, table)
            return _shown(cursor, table, call)

    def delete(self, call: Call) -> None:
        """Deletes a table, or with a decorator the rows of one partition."""
        with (
            self.storage.locks.held_for(*_lock_key(call)),
            self.storage.transaction() as cursor,
        ):
            table, partition_id = _named(cursor, call)
            if partition_id is None:
                catalog.drop_table(cursor, table)
                return
            if table.partitioning is not None:
                table.changed_in(cursor).remove_partition(
                    table.partitioning, partition_id, self.storage.next_id
                )
            measure(cursor, table, partition_id)

    def list_rows(self, call: Call) -> dict[str, Any]:
        """A page of the rows of a table, a partition, or a query's anonymous table."""
        page = Page.from_query(call.query)
        with self.storage.snapshot() as cursor:
            if call.path["dataset"] == ANONYMOUS_DATASET:
                source = self.results.find(cursor, call.path["table"])
                where, parameters = "true", dict[str, Any]()
            else:
                source, where, parameters = _rows_of(cursor, call)
            selected = call.query.get("selectedFields")
            if selected:
                source = _with_columns(source, selected.split(","))
            body = read_page(cursor, source, page, where, parameters)
        return {"kind": "bigquery#tableDataList", "etag": etag(body)} | body


def _lock_key(call: Call) -> tuple[str, str, str]:
    return (call.path["project"], call.path["dataset"], split_decorator(call.path["table"])[0])


def _named(cursor: Cursor, call: Call) -> tuple[Table, str | None]:
    table = catalog.find_table(cursor, TableName(*_lock_key(call)))
    _, partition_id = split_decorator(call.path["table"])
    return table, checked_partition_id(table.partitioning, partition_id, str(table.name))


def _rows_of(cursor: Cursor, call: Call) -> tuple[ResultTable, str, dict[str, Any]]:
    table, partition_id = _named(cursor, call)
    if table.is_view:
        raise invalid(f"Cannot list a table of type VIEW: {table.name}")
    sizes = partition_sizes(cursor, table)
    rows = sum(size.num_rows for size in sizes if partition_id in (None, size.partition_id))
    where: str = "true"
    parameters: dict[str, Any] = {}
    if partition_id and table.partitioning:
        where, bounds = table.partitioning.rows_of(partition_id)
        parameters.update(bounds)
    return ResultTable(table.relation, table.fields, rows), where, parameters


def _with_columns(source: ResultTable, names: list[str]) -> ResultTable:
    fields = []
    for name in names:
        field = field_named(source.fields, name)
        if field is None:
            raise (
                not_found(f"Column {name}")
                if "." not in name
                else unsupported("selectedFields of nested columns")
            )
        fields.append(field)
    return ResultTable(source.relation, fields, source.num_rows)


def _etag(table: Table) -> str:
    return etag(table.id, table.modified_ms, table.resource)


def _summary(table: Table) -> dict[str, Any]:
    keys = (
        "clustering",
        "expirationTime",
        "friendlyName",
        "labels",
        "requirePartitionFilter",
        "timePartitioning",
    )
    name = table.name
    view = {"view": {"useLegacySql": False}} if table.is_view else {}
    return (
        view
        | {key: table.resource[key] for key in keys if key in table.resource}
        | {
            "kind": "bigquery#table",
            "id": str(name),
            "tableReference": name.reference(),
            "type": "VIEW" if table.is_view else "TABLE",
            "creationTime": str(table.created_ms),
        }
    )


def _shown(
    cursor: Cursor, table: Table, call: Call, partition_id: str | None = None
) -> dict[str, Any]:
    dataset = catalog.find_dataset(cursor, table.name.project, table.name.dataset)
    sizes = [
        size for size in partition_sizes(cursor, table) if partition_id in (None, size.partition_id)
    ]
    return (
        _summary(table)
        | table.resource
        | (_sizes(sizes) if not table.is_view else {})
        | {
            "etag": _etag(table),
            "selfLink": call.base_url + _path(table.name),
            "lastModifiedTime": str(table.modified_ms),
            "location": dataset.location,
        }
    )


def _path(name: TableName) -> str:
    dataset = f"/bigquery/v2/projects/{name.project}/datasets/{name.dataset}"
    return f"{dataset}/tables/{name.table}"


def _sizes(sizes: list[PartitionSize]) -> dict[str, str]:
    num_bytes = str(sum(size.num_bytes for size in sizes))
    return {
        "numRows": str(sum(size.num_rows for size in sizes)),
        "numBytes": num_bytes,
        "numLongTermBytes": "0",
        "numTotalLogicalBytes": num_bytes,
        "numActiveLogicalBytes": num_bytes,
    }


def _shown_result(result: ResultTable, call: Call) -> dict[str, Any]:
    name = TableName(call.path["project"], call.path["dataset"], call.path["table"])
    return {
        "kind": "bigquery#table",
        "id": str(name),
        "tableReference": name.reference(),
        "type": "TABLE",
        "schema": {"fields": result.fields},
        "numRows": str(result.num_rows),
        "selfLink": call.base_url + _path(name),
    }
