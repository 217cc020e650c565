"""CREATE, ALTER and DROP of tables and datasets."""

from __future__ import annotations

import copy
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import ApiError, duplicate, invalid, invalid_query, unsupported
from bigquery_emulator.jobs.alterations import Alterations
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.declared_columns import declared_field
from bigquery_emulator.sql.definitions import copied_table, definition_kind, properties_of
from bigquery_emulator.sql.parsing import view_query
from bigquery_emulator.sql.scripts import creates_temporary
from bigquery_emulator.storage import catalog, segments
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.database import Storage
from bigquery_emulator.storage.partition_sizes import measure
from bigquery_emulator.storage.quoting import quoted
from bigquery_emulator.storage.resources import check_table_id, checked_table, merged_resource

Done = tuple[str, dict[str, Any]]


class Definitions:
    """Runs a CREATE, ALTER or DROP in the transaction of its translation."""

    def __init__(self, storage: Storage, translation: Translation) -> None:
        self._storage = storage
        self._translation = translation
        self._statement: Any = translation.statement
        self._cursor = translation.cursor

    def run(self) -> Done:
        """Does what the statement says.

        Returns:
            The API's statementType, and more of the query's statistics.

        Raises:
            ApiError: BigQuery would refuse it, or it is not supported.
        """
        kind = definition_kind(self._statement)
        if kind == "CREATE_SCHEMA":
            return kind, self._create_schema()
        if kind == "DROP_SCHEMA":
            return kind, self._drop_schema()
        if kind in ("DROP_TABLE", "DROP_VIEW"):
            return kind, self._drop_table(view=kind == "DROP_VIEW")
        if kind in ("ALTER_TABLE", "ALTER_VIEW"):
            return kind, self._alter_table()
        return kind, self._create_table(view=kind == "CREATE_VIEW")

    def _create_schema(self) -> dict[str, Any]:
        project, dataset = self._dataset_name(self._statement.this)
        properties = properties_of(self._statement)
        if extra := sorted(set(properties) - {"location", "description", "labels", "friendlyName"}):
            raise unsupported(f"the option {extra[0]} of CREATE SCHEMA")
        resource = {"location": self._translation.location, "access": []} | properties
        try:
            catalog.create_dataset(self._cursor, project, dataset, resource)
        except ApiError:
            if not self._statement.args.get("exists"):
                raise
            return {"ddlOperationPerformed": "SKIP"}
        return {"ddlOperationPerformed": "CREATE"}

    def _drop_schema(self) -> dict[str, Any]:
        project, dataset = self._dataset_name(self._statement.args["tables"][0])
        try:
            existing = catalog.find_dataset(self._cursor, project, dataset)
        except ApiError:
            if not self._statement.args.get("exists"):
                raise
            return {"ddlOperationPerformed": "SKIP"}
        contents = bool(self._statement.args.get("cascade"))
        catalog.delete_dataset(self._cursor, existing, contents=contents)
        return {"ddlOperationPerformed": "DROP"}

    def _dataset_name(self, node: exp.Table) -> tuple[str, str]:
        # `p.d` in backticks comes as one name.
        project, _, dataset = node.db.rpartition(".")
        return project or node.catalog or self._translation.tables.project, dataset

    def _drop_table(self, *, view: bool) -> dict[str, Any]:
        name = self._translation.tables.name_of(self._statement.args["tables"][0])
        table = catalog.find_table_or_none(self._cursor, name)
        target = {"ddlTargetTable": name.reference()}
        if table is None:
            if not self._statement.args.get("exists"):
                catalog.find_table(self._cursor, name)
            return target | {"ddlOperationPerformed": "SKIP"}
        if table.is_view != view:
            found, other = ("VIEW", "DROP TABLE") if table.is_view else ("TABLE", "DROP VIEW")
            raise invalid(f"Cannot drop {name} which has type {found}. Please do not use {other}.")
        catalog.drop_table(self._cursor, table)
        return target | {"ddlOperationPerformed": "DROP"}

    def _alter_table(self) -> dict[str, Any]:
        name = self._translation.tables.name_of(self._statement.this)
        target = {"ddlTargetTable": name.reference()}
        may_lack = bool(self._statement.args.get("exists"))
        if may_lack and catalog.find_table_or_none(self._cursor, name) is None:
            return target | {"ddlOperationPerformed": "SKIP"}
        table = catalog.find_table(self._cursor, name)
        Alterations(self._translation, table).run(self._statement.args["actions"])
        return target | {"ddlOperationPerformed": "ALTER"}

    def _create_table(self, *, view: bool) -> dict[str, Any]:
        statement = self._statement
        named = statement.this
        declared = named.expressions if isinstance(named, exp.Schema) else None
        name = self._created_name(named.this if declared is not None else named)
        check_table_id(name.table)
        old = catalog.find_table_or_none(self._cursor, name)
        target = {"ddlTargetTable": name.reference()}
        if old and statement.args.get("exists"):
            return target | {"ddlOperationPerformed": "SKIP"}
        if old and (not statement.args.get("replace") or old.is_view != view):
            raise duplicate(f"Table {name}")
        query: Any = statement.expression
        if query and declared is not None:
            raise unsupported("CREATE TABLE with both columns and a query")
        source = copied_table(statement)
        if source is not None:
            if query or declared is not None:
                raise invalid_query("CREATE TABLE LIKE, COPY and CLONE take no columns or query")
            self._create_copy(name, self._translation.tables.table_of(source))
        elif query:
            fields = self._translation.described(query)
            if view:
                self._create_view(name, fields)
            else:
                self._create_with_rows(name, fields, self._translation.sql(query))
        elif declared is not None:
            self._create_with_rows(name, [declared_field(one) for one in declared], None)
        else:
            raise invalid_query("CREATE TABLE needs columns or a query")
        if old:
            catalog.drop_table(self._cursor, old)
        return target | {"ddlOperationPerformed": "REPLACE" if old else "CREATE"}

    def _create_copy(self, name: TableName, source: Table) -> None:
        """A table like another: with its columns, layout and options, and for COPY its rows."""
        if source.is_view:
            raise invalid_query(f"The view {source.name} cannot be copied")
        own = self._translation.evaluated(properties_of(self._statement))
        kept = {key: value for key, value in source.resource.items() if key != "expirationTime"}
        resource = merged_resource(copy.deepcopy(kept), own)
        table = catalog.create_table(self._cursor, self._storage.next_id(), name, resource)
        if self._statement.args.get("clone") is not None:
            changed = table.changed_in(self._cursor)
            segment = changed.new(self._storage.next_id)
            self._cursor.execute(f"INSERT INTO {segment.relation} SELECT * FROM {source.relation}")  # noqa: S608
            changed.add(segment)
        measure(self._cursor, table)

    def _created_name(self, node: exp.Table) -> TableName:
        """The name of the table to be created: for CREATE TEMP TABLE, among the temporary ones."""
        if not creates_temporary(self._statement):
            return self._translation.tables.name_of(node)
        session = self._translation.session
        if node.db and node.db.upper() != "_SESSION":
            raise invalid_query("CREATE TEMP TABLE takes a table name without a dataset")
        if session is None:
            raise invalid_query("Use of CREATE TEMPORARY TABLE requires a script or session")
        session.temporary.make_dataset(self._cursor)
        return session.temporary.name(node.name)

    def _create_view(self, name: TableName, fields: list[Field]) -> None:
        text = view_query(self._translation.text)
        body = self._translation.evaluated(properties_of(self._statement))
        body |= {
            "schema": {"fields": fields},
            "view": {"query": text, "useLegacySql": False},
        }
        catalog.create_table(self._cursor, self._storage.next_id(), name, checked_table(body))

    def _create_with_rows(self, name: TableName, fields: list[Field], sql: str | None) -> None:
        properties = self._translation.evaluated(properties_of(self._statement))
        body = properties | {"schema": {"fields": fields}}
        table = catalog.create_table(
            self._cursor, self._storage.next_id(), name, checked_table(body)
        )
        if sql:
            changed = table.changed_in(self._cursor)
            segment = changed.new(self._storage.next_id)
            columns = ", ".join(quoted(field["name"]) for field in fields)
            self._translation.execute(f"INSERT INTO {segment.relation} ({columns}) {sql}")
            segments.settle(self._cursor, segment.relation, fields, invalid_query)
            changed.add(segment)
        measure(self._cursor, table)
