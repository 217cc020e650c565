"""Rows of derived tables: the Arrow types that every store supports, and casts to them."""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from taxi_platform.errors import PermanentStoreError

TIME = pa.timestamp("us")
INSTANT = pa.timestamp("us", tz="UTC")

_STORABLE = (
    *(pa.bool_(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.float64(), pa.string(), pa.date32(), TIME, INSTANT),
)


def storable(subject: object, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows in types that every store supports, cast without loss batch by batch.

    Small and unsigned integers become wider ones, other texts become strings, times microseconds,
    times with a zone UTC. Columns of type null are left out.

    Args:
        subject: the table, for messages.
        rows: the rows.

    Raises:
        PermanentStoreError: no store supports a column's type; or, while the rows are read, a
            value does not fit.
    """
    # A column without any value has no type; left out, it is null in the table.
    fields = [field for field in rows.schema if not pa.types.is_null(field.type)]
    if not fields:
        fields = list(rows.schema)  # which says of the first that no store takes it
    schema = pa.schema(
        [pa.field(f.name, _storable_type(subject, f), metadata=f.metadata) for f in fields]
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            try:
                yield batch.select(schema.names).cast(schema)
            except pa.ArrowInvalid as error:
                raise PermanentStoreError(f"{subject}: {error}") from error

    return pa.RecordBatchReader.from_batches(schema, batches())


def _storable_type(subject: object, field: pa.Field) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _STORABLE:
        return kind
    if pa.types.is_int8(kind) or pa.types.is_uint8(kind):
        return pa.int16()
    if pa.types.is_integer(kind):
        return pa.int32() if pa.types.is_uint16(kind) else pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind):
        return INSTANT if kind.tz else TIME
    raise PermanentStoreError(
        f"{subject}: no store supports the column {field.name} of type {kind}: cast it to a "
        "number, a string, a date or a time"
    )


def subject_of(table: str, month: date | None) -> str:
    """The start of messages about a derived table."""
    return f"{table} of {month:%Y-%m}" if month else table
