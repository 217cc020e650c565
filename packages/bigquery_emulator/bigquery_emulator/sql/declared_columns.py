"""Columns as CREATE TABLE and ALTER TABLE declare them."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.functions import literal
from bigquery_emulator.sql.types import plain_type
from bigquery_emulator.storage.column_types import Field, api_type, checked_fields


def option_value(value: exp.Expr) -> Any:
    """The value of an option, as the API has it.

    Raises:
        ApiError: it is not a constant.
    """
    if isinstance(value, exp.Boolean):
        return bool(value.this)
    if isinstance(value, exp.Null):
        return None
    if isinstance(value, exp.Array):
        pairs = [pair.expressions for pair in value.expressions]
        return {str(literal(key)): str(literal(text)) for key, text in pairs}
    text = literal(value)
    if text is None:
        raise unsupported("computed options")
    return text


def declared_field(column: exp.Expr) -> Field:
    """The API's column for one that is declared.

    Raises:
        ApiError: it has a type or constraint that is not supported.
    """
    if not isinstance(column, exp.ColumnDef):
        raise unsupported(f"{column.key.upper()} in the columns of a table")
    field = _typed(column.name, column.args["kind"])
    for constraint in column.args.get("constraints") or ():
        meant = constraint.args.get("kind")
        if isinstance(meant, exp.NotNullColumnConstraint):
            field["mode"] = "REQUIRED"
        elif isinstance(meant, exp.Properties):
            options = {str(one.name).lower(): one.args["value"] for one in meant.expressions}
            if extra := sorted(set(options) - {"description"}):
                raise unsupported(f"the column option {extra[0]}")
            field["description"] = option_value(options["description"])
        else:
            raise unsupported("column constraints other than NOT NULL")
    return checked_fields([field])[0]


def _typed(name: str, kind: exp.DataType) -> Field:
    if kind.is_type(exp.DataType.Type.ARRAY):
        return _typed(name, kind.expressions[0]) | {"mode": "REPEATED"}
    if kind.is_type(exp.DataType.Type.STRUCT):
        parts = [_typed(part.name, part.args["kind"]) for part in kind.expressions]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": parts}
    kind, limits = plain_type(kind)
    return {"name": name, "type": api_type(kind.sql("bigquery")), "mode": "NULLABLE"} | limits
