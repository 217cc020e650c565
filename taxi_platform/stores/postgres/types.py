"""Postgres' names of column types."""

import pyarrow as pa
from psycopg import sql

_TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.timestamp("us"): "timestamp without time zone",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
    pa.date32(): "date",
}


def postgres_type(arrow: pa.DataType) -> str:
    """Postgres' name of an Arrow type."""
    return _TYPES[arrow]


def arrow_type(postgres: str) -> pa.DataType | None:
    """The Arrow type of a column, from ``format_type``; None for unsupported types."""
    return next((arrow for arrow, name in _TYPES.items() if name == postgres), None)


def answer_type(postgres: str, precision: int | None, scale: int | None) -> pa.DataType:
    """The Arrow type for a column of a query's answer; string for what has no other.

    Args:
        postgres: Postgres' name of the type.
        precision: the digits of a ``numeric``; None if it was declared without.
        scale: those of them after the point.
    """
    if postgres == "real":
        return pa.float32()
    if postgres == "numeric":
        # Sums and averages of integers have no declared digits, and Arrow no type for that.
        declared = precision is not None and scale is not None and 0 <= scale <= precision <= 38
        return pa.decimal128(precision, scale) if declared else pa.float64()
    return arrow_type(postgres) or pa.string()


def column_definitions(schema: pa.Schema) -> sql.Composed:
    """The columns of a table, from its Arrow schema."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(postgres_type(field.type)))
        for field in schema
    )
