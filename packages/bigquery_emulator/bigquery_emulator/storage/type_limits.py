"""The limits of parameterized types, such as STRING(64) and NUMERIC(10, 2).

A column has them as the API names them: maxLength, precision and scale. They say which values may
be written, and are no part of a value's type: results and views are without them.
"""

from __future__ import annotations

from typing import Any

from bigquery_emulator.errors import invalid
from bigquery_emulator.storage.quoting import quoted, text_literal

LIMITS = ("maxLength", "precision", "scale")
_MOST_DIGITS, _MOST_SCALE = 29, 9  # of a NUMERIC, before and after the point
_OWNERS = {"maxLength": ("STRING", "BYTES"), "precision": ("NUMERIC",), "scale": ("NUMERIC",)}
_TOO_LONG = "said || ' has maximum length ' || n || ' but got a value with length ' || "
_TOO_WIDE = (
    "said || ' has precision ' || p || ' and scale ' || s || ' but got a value that is not in "
    "range of [-' || bq_largest(p, s) || ', ' || bq_largest(p, s) || ']'"
)
_FITS = {
    "string": ("x, n", "length(x) <= n", "x", f"{_TOO_LONG} length(x)"),
    "bytes": ("x, n", "octet_length(x) <= n", "x", f"{_TOO_LONG} octet_length(x)"),
    "numeric": (
        "x, p, s",
        "abs(round(x, s)) <= CAST(bq_largest(p, s) AS DECIMAL(38, 9))",
        "CAST(round(x, s) AS DECIMAL(38, 9))",
        _TOO_WIDE,
    ),
}


def limit_macros() -> str:
    """The SQL that creates the macros: ``bq_limit_…`` refuses, ``bq_try_limit_…`` makes NULL."""
    largest = (
        "CREATE OR REPLACE MACRO bq_largest(p, s) AS CASE WHEN s = 0 THEN repeat('9', p) "
        "WHEN p = s THEN '0.' || repeat('9', s) "
        "ELSE repeat('9', p - s) || '.' || repeat('9', s) END;"
    )
    found = [largest]
    for name, (parameters, fits, kept, refusal) in _FITS.items():
        kept_or_null = f"CASE WHEN {fits} THEN {kept} END"
        refused = f"WHEN x IS NOT NULL AND bq_error({refusal}) IS NULL"
        kept_or_refused = f"CASE WHEN {fits} THEN {kept} {refused} THEN {kept} END"
        start = "CREATE OR REPLACE MACRO "
        found.append(f"{start}bq_try_limit_{name}({parameters}) AS {kept_or_null};")
        found.append(f"{start}bq_limit_{name}({parameters}, said) AS {kept_or_refused};")
    return "\n".join(found)


def checked_limits(field: dict[str, Any]) -> dict[str, str]:
    """The limits of a column, as the API answers them.

    Args:
        field: a TableFieldSchema with the type's name as the API answers it.

    Raises:
        ApiError: the type cannot have them.
    """
    kind = str(field["type"])
    given = {name: field[name] for name in LIMITS if field.get(name) not in (None, "")}
    limits: dict[str, int] = {}
    for name, value in given.items():
        if kind not in _OWNERS[name]:
            raise invalid(f"Field {field['name']}: {kind} does not have the parameter {name}")
        try:
            limits[name] = int(value)
        except (TypeError, ValueError) as error:
            raise invalid(f"Field {field['name']}: invalid value for {name}: {value}") from error
    if limits.get("maxLength", 1) < 1:
        raise invalid(f"{kind} length must be greater than 0")
    scale = limits.get("scale", 0)
    if "scale" in limits and "precision" not in limits:
        raise invalid(f"Field {field['name']}: scale needs precision")
    if not 0 <= scale <= _MOST_SCALE:
        raise invalid(f"In NUMERIC(P, S), S must be between 0 and {_MOST_SCALE}")
    least, most = max(scale, 1), scale + _MOST_DIGITS
    if not least <= limits.get("precision", least) <= most:
        form = f"P, {scale}" if "scale" in limits else "P"
        raise invalid(f"In NUMERIC({form}), P must be between {least} and {most}")
    return {name: str(value) for name, value in limits.items()}


def written_limits(field: dict[str, Any]) -> str:
    """The limits as GoogleSQL writes them after the type's name: ``(64)``, ``(10, 2)``."""
    values = [str(field[name]) for name in LIMITS if name in field]
    return f"({', '.join(values)})" if values else ""


def call_of_limit(field: dict[str, Any]) -> tuple[str, list[int]]:
    """The macro's name after ``bq_limit_``, and its numbers, for a column with limits."""
    if field["type"] == "NUMERIC":
        return "numeric", [int(field["precision"]), int(field.get("scale", 0))]
    return str(field["type"]).lower(), [int(field["maxLength"])]


def has_limits(field: dict[str, Any]) -> bool:
    """Whether a column, or a part of it, has limits."""
    return any(name in field for name in LIMITS) or any(map(has_limits, field.get("fields", ())))


def limited(value: str, field: dict[str, Any], path: str = "", depth: int = 0) -> str:
    """SQL for a value as a column keeps it: rounded, or refused by an error.

    Args:
        value: SQL of the column's type.
        field: the column.
        path: the names of the columns around it, for the message.
        depth: how many arrays are around it.
    """
    if not has_limits(field):
        return value
    path = f"{path}.{field['name']}" if path else str(field["name"])
    if field.get("mode") == "REPEATED":
        one = f"e{depth}"
        element = field | {"mode": "NULLABLE", "name": path}
        return f"list_transform({value}, lambda {one}: {limited(one, element, '', depth + 1)})"
    if field["type"] == "RECORD":
        parts = []
        for part in field["fields"]:
            name = quoted(part["name"])
            parts.append(f"{name} := {limited(f'({value}).{name}', part, path, depth)}")
        packed = f"struct_pack({', '.join(parts)})"
        return f"CASE WHEN {value} IS NOT NULL THEN {packed} END"
    macro, numbers = call_of_limit(field)
    said = text_literal(f"Field {path}: {field['type']}{written_limits(field)}")
    return f"bq_limit_{macro}({value}, {', '.join(map(str, numbers))}, {said})"


def widths(field: dict[str, Any]) -> dict[str, int]:
    """What may only grow: the length, and the digits before and after the point."""
    if "precision" in field:
        scale = int(field.get("scale", 0))
        return {"digits": int(field["precision"]) - scale, "scale": scale}
    return {"length": int(field["maxLength"])} if "maxLength" in field else {}
