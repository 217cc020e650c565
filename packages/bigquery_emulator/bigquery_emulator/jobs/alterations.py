"""ALTER TABLE and ALTER VIEW: columns added, relaxed, dropped and renamed; options; new names."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import duplicate, invalid, invalid_query, unsupported
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.declared_columns import declared_field
from bigquery_emulator.sql.definitions import options_of, options_set
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import field_named
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.resources import check_table_id, merged_resource
from bigquery_emulator.storage.schema_change import (
    add_column,
    drop_column,
    relax_column,
    rename_column,
)


class Alterations:
    """Alters one table in the transaction of a translation."""

    def __init__(self, translation: Translation, table: Table) -> None:
        self._translation = translation
        self._cursor: Cursor = translation.cursor
        self._table = table

    def run(self, actions: list[Any]) -> None:
        """Does what the actions say, in their order.

        Raises:
            ApiError: BigQuery would refuse one, or it is not supported.
        """
        for action in actions:
            if self._table.is_view and not isinstance(action, exp.AlterSet):
                raise invalid_query(f"ALTER TABLE is not allowed for the view {self._table.name}")
            if isinstance(action, exp.AlterSet):
                self._set_options(action)
            elif isinstance(action, exp.AlterRename):
                self._rename(action)
            elif isinstance(action, exp.AlterColumn):
                self._relax(action)
            elif isinstance(action, exp.Drop):
                self._drop(action)
            elif isinstance(action, exp.RenameColumn):
                self._rename_column(action)
            else:
                self._add(action)
        catalog.save_table(self._cursor, self._table)

    def _set_options(self, action: exp.AlterSet) -> None:
        changes = self._translation.evaluated(options_of(options_set(action)))
        if changes.get("labels") is not None:
            self._table.resource.pop("labels", None)
        self._table.resource = merged_resource(self._table.resource, changes)

    def _rename(self, action: exp.AlterRename) -> None:
        new = action.this.name
        if action.this.db:
            raise invalid_query("ALTER TABLE RENAME TO takes a table name without a dataset")
        check_table_id(new)
        old = self._table.name
        name = TableName(old.project, old.dataset, new)
        if catalog.find_table_or_none(self._cursor, name) is not None:
            raise duplicate(f"Table {name}")
        self._table.name = name

    def _relax(self, action: exp.AlterColumn) -> None:
        existing = field_named(self._table.fields, action.name)
        if existing is None:
            raise invalid_query(f"Column not found: {action.name}")
        if existing["mode"] == "REQUIRED":
            relax_column(self._cursor, self._table, existing)

    def _add(self, action: Any) -> None:
        if field_named(self._table.fields, action.name) is None:
            add_column(self._cursor, self._table, declared_field(action))
        elif not action.args.get("exists"):
            raise invalid_query(f"Column already exists: {action.name}")

    def _drop(self, action: exp.Drop) -> None:
        for column in action.args["tables"]:
            existing = field_named(self._table.fields, column.name)
            if existing is None:
                if action.args.get("exists"):
                    continue
                raise invalid_query(f"Column not found: {column.name}")
            self._check_layout(existing["name"])
            if len(self._table.fields) == 1:
                raise invalid("Cannot drop the only column of a table")
            drop_column(self._cursor, self._table, existing)

    def _rename_column(self, action: exp.RenameColumn) -> None:
        old, new = action.this.name, action.args["to"].name
        existing = field_named(self._table.fields, old)
        if existing is None:
            if action.args.get("exists"):
                return
            raise invalid_query(f"Column not found: {old}")
        if field_named(self._table.fields, new) is not None:
            raise invalid_query(f"Column already exists: {new}")
        self._check_layout(existing["name"])
        rename_column(self._cursor, self._table, existing, new)

    def _check_layout(self, name: str) -> None:
        """Refuses to change a column by which the table is partitioned or clustered."""
        partitioning = self._table.partitioning
        if partitioning is not None and partitioning.field == name:
            raise invalid_query(f"Cannot change the partitioning column {name}")
        if name in self._table.resource.get("clustering", {}).get("fields", []):
            raise unsupported(f"changing the clustering column {name}")
