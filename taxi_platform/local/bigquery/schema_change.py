"""Changes of a table's columns by tables.patch and tables.update.

What a load job may change is in destination.py.
"""

from __future__ import annotations

from taxi_platform.local.bigquery import catalog
from taxi_platform.local.bigquery.catalog import Table
from taxi_platform.local.bigquery.column_types import Field, field_named
from taxi_platform.local.bigquery.destination import (
    add_column,
    check_same_type,
    relax_column,
    schema_mismatch,
)
from taxi_platform.local.bigquery.storage import Cursor


def change_schema(cursor: Cursor, table: Table, wanted: list[Field]) -> None:
    """Gives a table the columns of a patch: new ones, new descriptions, relaxed modes.

    Raises:
        ApiError: BigQuery would refuse the change.
    """
    for held in table.fields:
        if field_named(wanted, held["name"]) is None:
            raise schema_mismatch(table.name, f"Field {held['name']} is missing in new schema")
    if not table.fields:
        catalog.set_first_columns(cursor, table, wanted)
        return
    fields: list[Field] = []
    for field in wanted:
        held_field = field_named(table.fields, field["name"])
        if held_field is None:
            add_column(cursor, table, field)
            fields.append(field)
            continue
        check_same_type(table.name, held_field, field)
        if held_field["mode"] != field["mode"]:
            if (held_field["mode"], field["mode"]) != ("REQUIRED", "NULLABLE"):
                raise schema_mismatch(
                    table.name,
                    f"Field {held_field['name']} has changed mode from {held_field['mode']} "
                    f"to {field['mode']}",
                )
            relax_column(cursor, table, held_field)
        fields.append(field | {"name": held_field["name"]})
    table.resource["schema"] = {"fields": fields}
