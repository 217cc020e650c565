"""BigQuery's column types and table schemas, and the DuckDB types that hold them.

Values are encoded for answers in api/rows.py; what a Parquet file's types may become is decided in
jobs/parquet_columns.py.
"""

from __future__ import annotations

from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.storage.quoting import quoted, text_literal
from bigquery_emulator.storage.type_limits import LIMITS, checked_limits, written_limits

Field = dict[str, Any]  # a TableFieldSchema of the API

# The API answers with the names of legacy SQL, whichever a client sends.
_API_NAME = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
}
_DUCKDB_TYPE = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATETIME": "TIMESTAMP",
    "DATE": "DATE",
    "TIME": "TIME",
}
_UNSUPPORTED = {"BIGNUMERIC", "BIGDECIMAL", "GEOGRAPHY", "JSON", "INTERVAL", "RANGE", "FOREIGN"}
_API_NAME_OF_DUCKDB = {
    "varchar": "STRING",
    "blob": "BYTES",
    **dict.fromkeys(["tinyint", "smallint", "integer", "bigint", "hugeint"], "INTEGER"),
    **dict.fromkeys(["utinyint", "usmallint", "uinteger", "ubigint"], "INTEGER"),
    "float": "FLOAT",
    "double": "FLOAT",
    "decimal": "NUMERIC",
    "boolean": "BOOLEAN",
    "timestamp with time zone": "TIMESTAMP",
    **dict.fromkeys(["timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"], "DATETIME"),
    "date": "DATE",
    "time": "TIME",
}
_STANDARD_NAME = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
}
_MODES = ("NULLABLE", "REQUIRED", "REPEATED")
_FIELD_KEYS = {"name", "type", "mode", "description", "fields", *LIMITS}


def api_type(name: str) -> str:
    """The API's name of a type, of whichever dialect.

    Raises:
        ApiError: no such type, or one that the emulator does not hold.
    """
    name = _API_NAME.get(name.upper(), name.upper())
    if name in _UNSUPPORTED:
        raise unsupported(f"the type {name}")
    if name not in _DUCKDB_TYPE and name != "RECORD":
        raise invalid(f"Invalid value for type: {name} is not a valid value")
    return name


def checked_fields(fields: list[Field]) -> list[Field]:
    """A client's schema as the API would answer it.

    Raises:
        ApiError: a name twice, an unknown type or mode, or something that is not supported.
    """
    names: set[str] = set()
    for field in fields:
        name = field.get("name")
        if not name:
            raise invalid("Field name is missing in the schema")
        if name.lower() in names:
            raise invalid(f"Duplicate field name: {name}")
        names.add(name.lower())
    return [_checked_field(field) for field in fields]


def _checked_field(field: Field) -> Field:
    meant = {key for key, value in field.items() if value not in (None, {}, [], "")}
    if extra := sorted(meant - _FIELD_KEYS):
        raise unsupported(f"the column property {extra[0]}")
    checked = {
        "name": field["name"],
        "type": api_type(field.get("type") or ""),
        "mode": (field.get("mode") or "NULLABLE").upper(),
    }
    if checked["mode"] not in _MODES:
        raise invalid(f"Invalid value for mode: {field.get('mode')} is not a valid value")
    if field.get("description"):
        checked["description"] = field["description"]
    if checked["type"] == "RECORD":
        if not field.get("fields"):
            raise invalid(f"Field {field['name']} is type RECORD but has no schema")
        checked["fields"] = checked_fields(field["fields"])
    return checked | checked_limits(field | checked)


def duckdb_type(field: Field) -> str:
    """The DuckDB type that holds a column."""
    if field["type"] == "RECORD":
        parts = ", ".join(f"{quoted(f['name'])} {duckdb_type(f)}" for f in field["fields"])
        name = f"STRUCT({parts})"
    else:
        name = _DUCKDB_TYPE[str(field["type"])]
    return f"{name}[]" if field.get("mode") == "REPEATED" else name


def column_definition(field: Field) -> str:
    """A column, as CREATE TABLE of DuckDB takes it."""
    required = " NOT NULL" if field.get("mode") == "REQUIRED" else ""
    return f"{quoted(field['name'])} {duckdb_type(field)}{required}"


def field_of_duckdb(name: str, type_: str | DuckDBPyType) -> Field:
    """The API's column for a DuckDB type, as query results and files have it.

    Raises:
        ApiError: BigQuery, or the emulator, has no such type.
    """
    found = duckdb.sqltype(type_) if isinstance(type_, str) else type_
    if found.id == "list":
        element = field_of_duckdb(name, _child(found, "child"))
        if element["mode"] == "REPEATED":
            raise invalid("Cannot construct array with element type ARRAY")
        return element | {"mode": "REPEATED"}
    if found.id == "struct":
        parts = [field_of_duckdb(str(key), _child(found, key)) for key, _ in found.children]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": parts}
    # A bare NULL, or the element of an empty array: BigQuery calls both INT64.
    if found.id == "null":
        return {"name": name, "type": "INTEGER", "mode": "NULLABLE"}
    text = str(found.id)
    if text not in _API_NAME_OF_DUCKDB:
        raise unsupported(f"values of DuckDB's type {found} (column {name})")
    return {"name": name, "type": _API_NAME_OF_DUCKDB[text], "mode": "NULLABLE"}


def _child(found: DuckDBPyType, wanted: str) -> DuckDBPyType:
    child = dict(found.children)[wanted]
    assert isinstance(child, DuckDBPyType)  # noqa: S101 - lists and structs have types for children
    return child


def standard_name(field: Field) -> str:
    """The type as GoogleSQL and INFORMATION_SCHEMA write it, such as ``ARRAY<STRING(64)>``."""
    if field["type"] == "RECORD":
        parts = ", ".join(f"{f['name']} {standard_name(f)}" for f in field["fields"])
        name = f"STRUCT<{parts}>"
    else:
        name = _STANDARD_NAME.get(field["type"], str(field["type"])) + written_limits(field)
    return f"ARRAY<{name}>" if field.get("mode") == "REPEATED" else name


def field_named(fields: list[Field], name: str) -> Field | None:
    """The column of that name, which BigQuery compares without regard to case."""
    return next((field for field in fields if field["name"].lower() == name.lower()), None)


def logical_bytes(fields: list[Field]) -> str:
    """A SQL expression for the bytes that BigQuery counts for the selected rows.

    Sizes are those of BigQuery's documentation: 8 bytes a number or time, 16 a NUMERIC, 1 a
    boolean, 2 and the UTF-8 length a string, nothing a NULL.
    """
    terms = [_column_bytes(field) for field in fields]
    return f"CAST(coalesce({' + '.join(terms)}, 0) AS BIGINT)" if terms else "CAST(0 AS BIGINT)"


def nan_columns(fields: list[Field]) -> str:
    """A SQL expression for the names of the columns that hold a NaN in the selected rows."""
    names = [
        str(field["name"])
        for field in fields
        if field["type"] == "FLOAT" and field["mode"] != "REPEATED"
    ]
    found = ", ".join(
        f"CASE WHEN bool_or(isnan({quoted(name)})) THEN {text_literal(name)} END" for name in names
    )
    return f"list_filter([{found}]::VARCHAR[], lambda n: n IS NOT NULL)"


def _column_bytes(field: Field) -> str:
    name = quoted(field["name"])
    if field["mode"] == "REPEATED" or field["type"] == "RECORD":
        # An estimate: nested values are rare here, and their exact size is nobody's contract.
        return f"coalesce(sum(strlen(CAST({name} AS VARCHAR))), 0)"
    if field["type"] == "STRING":
        return f"coalesce(sum(2 + strlen({name})), 0)"
    if field["type"] == "BYTES":
        return f"coalesce(sum(2 + octet_length({name})), 0)"
    width = {"BOOLEAN": 1, "NUMERIC": 16}.get(field["type"], 8)
    return f"{width} * count({name})"
