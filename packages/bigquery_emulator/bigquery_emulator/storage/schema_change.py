"""Changes of a table's columns: what may be added or relaxed, and what may not change.

How a load job decides what it adds is in jobs/destination.py.
"""

from __future__ import annotations

from bigquery_emulator.errors import ApiError, invalid, unsupported
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import Field, column_definition, field_named
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.quoting import quoted
from bigquery_emulator.storage.type_limits import widths, written_limits


def change_schema(cursor: Cursor, table: Table, wanted: list[Field]) -> None:
    """Gives a table the columns of a patch: new ones, new descriptions, relaxed modes.

    Raises:
        ApiError: BigQuery would refuse the change.
    """
    for existing in table.fields:
        if field_named(wanted, existing["name"]) is None:
            raise schema_mismatch(table.name, f"Field {existing['name']} is missing in new schema")
    if not table.fields:
        catalog.set_first_columns(cursor, table, wanted)
        return
    changed = []
    for existing in table.fields:
        field = field_named(wanted, existing["name"]) or existing
        check_same_type(table.name, existing, field)
        _check_wider(table.name, existing, field)
        if existing["mode"] != field["mode"]:
            if (existing["mode"], field["mode"]) != ("REQUIRED", "NULLABLE"):
                raise schema_mismatch(
                    table.name,
                    f"Field {existing['name']} has changed mode from {existing['mode']} to "
                    f"{field['mode']}",
                )
            relax_column(cursor, table, existing)
        changed.append(field | {"name": existing["name"]})
    table.resource["schema"] = {"fields": changed}
    for field in wanted:
        # New columns come last, wherever the client put them: that is where they are in the rows.
        if field_named(table.fields, field["name"]) is None:
            add_column(cursor, table, field)


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
    if not table.fields:
        catalog.set_first_columns(cursor, table, [field])
        return
    # An array of old rows is empty, not NULL. Not an UPDATE: it would write where readers look.
    default = " DEFAULT []" if field["mode"] == "REPEATED" else ""
    catalog.alter_columns(cursor, table, f"ADD COLUMN {column_definition(field)}{default}")
    table.resource["schema"]["fields"] = [*table.fields, field]


def relax_column(cursor: Cursor, table: Table, existing: Field) -> None:
    """Makes a REQUIRED column NULLABLE; the caller saves the entry."""
    name = quoted(existing["name"])
    catalog.alter_columns(cursor, table, f"ALTER COLUMN {name} DROP NOT NULL")
    existing["mode"] = "NULLABLE"


def drop_column(cursor: Cursor, table: Table, existing: Field) -> None:
    """Drops a column with its values; the caller saves the entry."""
    catalog.alter_columns(cursor, table, f"DROP COLUMN {quoted(existing['name'])}")
    table.resource["schema"]["fields"] = [one for one in table.fields if one is not existing]


def rename_column(cursor: Cursor, table: Table, existing: Field, name: str) -> None:
    """Gives a column another name; the caller saves the entry."""
    old = quoted(existing["name"])
    catalog.alter_columns(cursor, table, f"RENAME COLUMN {old} TO {quoted(name)}")
    existing["name"] = name


def check_same_type(table: TableName, existing: Field, field: Field) -> None:
    """Refuses a column whose type differs from the table's.

    Raises:
        ApiError: it differs.
    """
    if existing["type"] != field["type"]:
        raise schema_mismatch(
            table,
            f"Field {existing['name']} has changed type from {existing['type']} to {field['type']}",
        )
    if (existing["mode"] == "REPEATED") != (field["mode"] == "REPEATED"):
        raise schema_mismatch(
            table,
            f"Field {existing['name']} has changed mode from {existing['mode']} to {field['mode']}",
        )
    if existing["type"] == "RECORD":
        names = [[part["name"].lower() for part in one["fields"]] for one in (existing, field)]
        if names[0] != names[1]:
            raise unsupported("changes of the fields of a RECORD column")
        for held_part, part in zip(existing["fields"], field["fields"], strict=True):
            check_same_type(table, held_part, part)


def _check_wider(table: TableName, existing: Field, field: Field) -> None:
    """Refuses narrower limits than a column of the same type has.

    Raises:
        ApiError: they are narrower.
    """
    for held_part, part in zip(existing.get("fields", ()), field.get("fields", ()), strict=True):
        _check_wider(table, held_part, part)
    held = widths(existing)
    if any(name not in held or held[name] > value for name, value in widths(field).items()):
        raise schema_mismatch(
            table,
            f"Field {existing['name']} has changed type from "
            f"{existing['type']}{written_limits(existing)} to "
            f"{field['type']}{written_limits(field)}",
        )


def schema_mismatch(table: TableName, detail: str) -> ApiError:
    """BigQuery's complaint about columns that do not fit a table."""
    return invalid(f"Provided Schema does not match Table {table}. {detail}")
