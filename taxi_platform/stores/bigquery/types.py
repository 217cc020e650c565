"""BigQuery's names of column types."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from google.cloud import bigquery

_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int16(): "INTEGER",
    pa.int32(): "INTEGER",
    pa.int64(): "INTEGER",
    pa.float64(): "FLOAT",
    pa.string(): "STRING",
    pa.timestamp("us"): "DATETIME",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
    pa.date32(): "DATE",
}

_OF_ANSWERS = {"NUMERIC": pa.decimal128(38, 9), "BIGNUMERIC": pa.decimal256(76, 38)}
"""Types that loads never create, and queries may answer."""

_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}

_NEW_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def bigquery_schema(schema: pa.Schema) -> "list[bigquery.SchemaField]":
    """The columns of a table, from its Arrow schema and the descriptions in it."""
    from google.cloud import bigquery

    return [
        bigquery.SchemaField(field.name, _TYPES[field.type], **_description(field))
        for field in schema
    ]


def standard_type(arrow: pa.DataType) -> str:
    """SQL's name of an Arrow type."""
    name = _TYPES[arrow]
    return _STANDARD_NAMES.get(name, name)


def _description(field: pa.Field) -> dict[str, Any]:
    described = (field.metadata or {}).get(b"description")
    return {"description": described.decode()} if described else {}


def arrow_schema(columns: "list[bigquery.SchemaField]") -> pa.Schema:
    """The Arrow schema of a table's columns, without columns of types that loads never create.

    Integers are 64 bits wide.
    """
    types = {name: kind for kind, name in _TYPES.items()}
    return pa.schema(
        [
            pa.field(c.name, types[type_name(c)])
            for c in columns
            if type_name(c) in types and c.mode != "REPEATED"
        ]
    )


def answer_schema(columns: "list[bigquery.SchemaField]") -> pa.Schema:
    """The Arrow schema of a query's answer; a column that Arrow has no type for is a string."""
    types = {name: kind for kind, name in _TYPES.items()} | _OF_ANSWERS
    kinds = ["" if c.mode == "REPEATED" else type_name(c) for c in columns]
    return pa.schema(
        [
            pa.field(column.name, types.get(kind, pa.string()))
            for column, kind in zip(columns, kinds, strict=True)
        ]
    )


def type_name(column: "bigquery.SchemaField") -> str:
    """A column's type, by the name that this module uses."""
    return str(_NEW_NAMES.get(column.field_type, column.field_type))
