"""FORMAT with a constant format, written for DuckDB part by part."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import ApiError, invalid_query, unsupported
from bigquery_emulator.sql.casts import cast_to
from bigquery_emulator.sql.functions import Function, function, literal, macro
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import NULL, STRING, Type

_SPECIFIER = re.compile(r"%([-+ 0#']*)(\d*)(?:\.(\d+))?([a-zA-Z%])|([^%]+)|%")
_LETTERS = "diouxXfFeEgGaAstTpP"
_OF_INTEGERS = "dixXo"
_PLAIN = ("STRING", "BOOL", "FLOAT64", "DATE", "INT64")
# What %t writes otherwise than a cast.
_NOT_WRITTEN = ("ARRAY", "STRUCT", "BYTES", "FLOAT64")
FORMAT_TEXT_MACROS = """
CREATE OR REPLACE MACRO bq_pad_text(x, n) AS
    CASE WHEN length(x) >= abs(n) THEN x WHEN n < 0 THEN rpad(x, -n, ' ') ELSE lpad(x, n, ' ') END;
CREATE OR REPLACE MACRO bq_radix(f, x) AS
    CASE WHEN x < 0 THEN '-' || printf(f, -x) ELSE printf(f, x) END;
CREATE OR REPLACE MACRO bq_grouped(x) AS format('{:,}', x);
"""


def _format(node: exp.Format) -> exp.Expr:
    text = literal(node.this)
    if text is None:
        raise unsupported("FORMAT with a computed format")
    values = list(node.expressions)
    parts = [_part(match, text, values) for match in _SPECIFIER.finditer(text)]
    if values:
        raise invalid_query(f"Too many arguments to FORMAT for pattern {text}")
    if not parts:
        return exp.Literal.string("")
    joined = parts[0]
    for one in parts[1:]:
        joined = exp.DPipe(this=joined, expression=one)
    return exp.Paren(this=joined)


def _part(match: re.Match[str], text: str, values: list[Any]) -> exp.Expr:
    """What stands for one part of a format; a specifier uses up one of the values."""
    flags, width, precision, letter, plain = match.groups()
    if plain is not None or letter == "%":
        return exp.Literal.string(plain or "%")
    if letter is None:
        if re.match(r"%[-+ 0#']*[\d.*]", text[match.start() :]):
            raise unsupported(f"FORMAT with a pattern such as {text}")
        raise invalid_query(f"Invalid format specifier in FORMAT string: {text}")
    if not values:
        raise invalid_query(f"Too few arguments to FORMAT for pattern {text}")
    return _value(values.pop(0), flags, width, precision, letter)


def _value(value: Any, flags: str, width: str, precision: str | None, letter: str) -> exp.Expr:
    kind = type_of(value) or NULL
    shape = f"%{flags.replace(chr(39), '')}{width}{f'.{precision}' if precision else ''}"
    written: exp.Expr | None = None
    if letter in _OF_INTEGERS and kind.name in ("INT64", "NULL"):
        written = _integer(value, flags, width, precision, letter)
    elif letter in "feEgG" and kind.name in ("FLOAT64", "NULL") and "'" not in flags:
        # Zero has no sign.
        unsigned = exp.Paren(this=exp.Add(this=value.copy(), expression=exp.Literal.number("0.0")))
        written = macro("printf", exp.Literal.string(f"{shape}{letter}"), unsigned)
    elif letter == "s" and kind.name in ("STRING", "NULL") and precision is None:
        written = _padded(value.copy(), width, flags)
    elif letter == "t" and precision is None and kind.name not in _NOT_WRITTEN:
        written = _padded(_as_text(value, kind), width, flags)
    if written is None:
        raise _refusal(kind, letter, shape)
    return written


def _integer(
    value: Any, flags: str, width: str, precision: str | None, letter: str
) -> exp.Expr | None:
    if precision:
        return None
    if "'" in flags:
        plain = flags == "'" and letter in "di"
        return _padded(macro("bq_grouped", value.copy()), width, flags="") if plain else None
    if letter not in "di":
        # DuckDB writes negative numbers as unsigned ones.
        return (
            macro("bq_radix", exp.Literal.string(f"%{letter}"), value.copy())
            if not (flags or width)
            else None
        )
    written = "d"
    return macro("printf", exp.Literal.string(f"%{flags}{width}{written}"), value.copy())


def _as_text(value: Any, kind: Type) -> exp.Expr:
    text = cast_to(value.copy(), STRING) if kind.name != "NULL" else exp.Null()
    return exp.Coalesce(this=text, expressions=[exp.Literal.string("NULL")])


def _refusal(kind: Type, letter: str, shape: str) -> ApiError:
    if letter not in _LETTERS:
        return invalid_query(f"Invalid format specifier character %{letter} in FORMAT string")
    wanted = "INT64" if letter in _OF_INTEGERS else "STRING" if letter == "s" else ""
    if wanted and wanted != kind.name and kind.name in _PLAIN:
        return invalid_query(f"Invalid type for argument of FORMAT; expected {wanted}, got {kind}")
    return unsupported(f"FORMAT with {shape}{letter} of {kind} values")


def _padded(value: exp.Expr, width: str, flags: str) -> exp.Expr:
    if not width:
        return value
    if flags not in ("", "-"):
        raise unsupported(f"FORMAT with the flags {flags}")
    number = int(width) * (-1 if flags == "-" else 1)
    return macro("bq_pad_text", value, exp.Literal.number(number))


TEXT_FORMATS: dict[type[exp.Expr], Function] = {
    exp.Format: function("this expressions", _format),
}
