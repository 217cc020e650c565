"""Rows as the API writes them: every value a string, nested in ``f`` and ``v``.

Reading pages of rows is in pages.py; what types there are, in storage/column_types.py.
"""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.quoting import quoted

Encoder = Callable[[Any], Any]


def readable(fields: list[Field]) -> str:
    """The select list that reads columns in the form that `row_encoder` takes.

    Timestamps are read as microseconds: DuckDB's own conversion needs a time zone database, and
    loses nothing here.
    """
    return ", ".join(_readable(field, quoted(field["name"])) for field in fields)


def _readable(field: Field, expression: str) -> str:
    if not _has_timestamp(field):
        return expression
    if field["mode"] == "REPEATED":
        element = _readable(field | {"mode": "NULLABLE"}, "e")
        return f"list_transform({expression}, lambda e: {element})"
    if field["type"] == "RECORD":
        parts = ", ".join(
            f"{name} := {_readable(part, f'({expression}).{name}')}"
            for part, name in ((part, quoted(part["name"])) for part in field["fields"])
        )
        return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({parts}) END"
    return f"epoch_us({expression})"


def _has_timestamp(field: Field) -> bool:
    return field["type"] == "TIMESTAMP" or any(map(_has_timestamp, field.get("fields", [])))


def row_encoder(fields: list[Field], *, int64_timestamps: bool) -> Encoder:
    """A function that turns a row, read with `readable`, into the API's TableRow."""
    encoders = [_encoder(field, int64_timestamps=int64_timestamps) for field in fields]

    def encode(row: Any) -> dict[str, Any]:
        cells = zip(encoders, row, strict=True)
        return {"f": [{"v": encoder(value)} for encoder, value in cells]}

    return encode


def _encoder(field: Field, *, int64_timestamps: bool) -> Encoder:
    if field["mode"] == "REPEATED":
        element = _encoder(field | {"mode": "NULLABLE"}, int64_timestamps=int64_timestamps)

        def encode_array(value: Any) -> list[dict[str, Any]]:
            if value is None:
                return []
            if any(item is None for item in value):
                raise invalid_query(
                    "Array cannot have a null element; error in writing field " + field["name"]
                )
            return [{"v": element(item)} for item in value]

        return encode_array
    scalar = _scalar_encoder(field, int64_timestamps=int64_timestamps)
    return lambda value: None if value is None else scalar(value)


def _scalar_encoder(field: Field, *, int64_timestamps: bool) -> Encoder:
    if field["type"] == "RECORD":
        encode = row_encoder(field["fields"], int64_timestamps=int64_timestamps)
        return lambda value: encode(value.values())
    if field["type"] == "TIMESTAMP":
        return str if int64_timestamps else _float_seconds
    return _ENCODERS[field["type"]]


def _float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _numeric(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _time(value: datetime.time | datetime.datetime) -> str:
    return value.isoformat()


def _float_seconds(microseconds: int) -> str:
    """Seconds in BigQuery's older form, ``1.7040672E9``, without loss."""
    digits = str(abs(microseconds))
    exponent = len(digits) - 1 - 6
    mantissa = f"{digits[0]}.{digits[1:].rstrip('0') or '0'}"
    sign = "-" if microseconds < 0 else ""
    return f"{sign}{mantissa}E{exponent}" if microseconds else "0.0"


_ENCODERS: dict[str, Encoder] = {
    "STRING": str,
    "BYTES": lambda value: base64.b64encode(value).decode("ascii"),
    "INTEGER": str,
    "FLOAT": _float,
    "NUMERIC": _numeric,
    "BOOLEAN": lambda value: "true" if value else "false",
    "DATETIME": _time,
    "DATE": lambda value: value.isoformat(),
    "TIME": _time,
}
