"""The format elements of FORMAT_DATE, PARSE_DATE and their siblings, written for DuckDB.

Some have elements of their own in DuckDB; others are computed. One that is not listed, or that a
type has no value for, is answered 501.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.functions import literal, macro
from bigquery_emulator.sql.types import Type

_DATES = set("YymdjbBhaAuwUWVGgeDFxCQJ")
_CLOCKS = set("HMSIpPkTRXrlf")
# What DuckDB writes alike; "%h" and on are written as others.
_ALIKE = set("YymdjbBaAwUWVGuHMSIpf%")
_WRITTEN = {
    "h": "%b",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "x": "%m/%d/%y",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "X": "%H:%M:%S",
    "r": "%I:%M:%S %p",
    "n": "\n",
    "t": "\t",
}
_ELEMENT = re.compile(r"%(E[0-9*][SY]|Ez|-d|[A-Za-z%])|([^%]+)|(%)")
# What strptime of DuckDB reads as BigQuery does.
_READ = re.compile(r"(?:[^%]|%[YmdHMSjyBbAaFTIpDRef%]|%-d|%E\*S|%E[1-6]S)*")


def _text(sql: str) -> Callable[[exp.Expr], exp.Expr]:
    """A computed element: one of the macros below, of the value."""
    return lambda value: macro(sql, value)


_COMPUTED: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "e": _text("bq_format_e"),
    "-d": _text("bq_format_e"),
    "k": _text("bq_format_k"),
    "l": _text("bq_format_l"),
    "P": _text("bq_format_p"),
    "Q": _text("bq_format_q"),
    "C": _text("bq_format_c"),
    "g": _text("bq_format_g"),
    "s": _text("bq_format_s"),
}
FORMAT_MACROS = """
CREATE OR REPLACE MACRO bq_format_e(x) AS lpad(CAST(day(x) AS VARCHAR), 2, ' ');
CREATE OR REPLACE MACRO bq_format_k(x) AS lpad(CAST(hour(x) AS VARCHAR), 2, ' ');
CREATE OR REPLACE MACRO bq_format_l(x) AS
    lpad(CAST((hour(x) + 11) % 12 + 1 AS VARCHAR), 2, ' ');
CREATE OR REPLACE MACRO bq_format_p(x) AS CASE WHEN hour(x) < 12 THEN 'am' ELSE 'pm' END;
CREATE OR REPLACE MACRO bq_format_q(x) AS CAST(quarter(x) AS VARCHAR);
CREATE OR REPLACE MACRO bq_format_c(x) AS lpad(CAST(year(x) // 100 AS VARCHAR), 2, '0');
CREATE OR REPLACE MACRO bq_format_g(x) AS lpad(CAST(isoyear(x) % 100 AS VARCHAR), 2, '0');
CREATE OR REPLACE MACRO bq_format_s(x) AS CAST(CAST(floor(epoch(x)) AS BIGINT) AS VARCHAR);
CREATE OR REPLACE MACRO bq_format_fraction(x, n) AS
    strftime(x, '%S') || CASE WHEN n = 0 THEN '' ELSE '.' || left(strftime(x, '%f'), n) END;
CREATE OR REPLACE MACRO bq_format_seconds(x) AS
    regexp_replace(strftime(x, '%S.%f'), '\\.?0+$', '');
"""


def formatted(value: exp.Expr, kind: Type, given: exp.Expr, *, utc: bool) -> exp.Expr:
    """A date or time as text.

    Args:
        value: what is written, in its zone already.
        kind: its type.
        given: the format, a constant.
        utc: whether a TIMESTAMP is written in UTC, whose name and offset are known.

    Raises:
        ApiError: an element is not supported, or the format is computed.
    """
    text = literal(given)
    if text is None:
        raise unsupported("a computed format of a date or time")
    if kind.name == "TIME":
        # strftime takes no TIME.
        day = exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("DATE"))
        value = exp.Paren(this=exp.Add(this=day, expression=value))
    parts: list[exp.Expr] = []
    plain = ""
    for match in _ELEMENT.finditer(text):
        element, between, alone = match[1], match[2], match[3]
        if alone:
            raise unsupported(f"the format {text!r}")
        if between or element in ("%", "n", "t"):
            plain += between or {"%": "%%"}.get(element, _WRITTEN.get(element, ""))
            continue
        _check(element, kind, text)
        if element in ("z", "Z", "Ez"):
            plain += _zone(element, kind, utc=utc)
        elif element in _ALIKE or element in _WRITTEN:
            plain += _WRITTEN.get(element, f"%{element}")
        else:
            parts += _flushed(value, plain)
            plain = ""
            parts.append(_computed(element, value, text))
    parts += _flushed(value, plain)
    if not parts:
        return macro("bq_empty_format", value)
    joined = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=part)
    return exp.Paren(this=joined)


def _flushed(value: exp.Expr, plain: str) -> list[exp.Expr]:
    return [macro("strftime", value.copy(), exp.Literal.string(plain))] if plain else []


def _computed(element: str, value: exp.Expr, text: str) -> exp.Expr:
    if element in _COMPUTED:
        return _COMPUTED[element](value.copy())
    if element == "E*S":
        return macro("bq_format_seconds", value.copy())
    if re.fullmatch("E[0-6]S", element):
        return macro("bq_format_fraction", value.copy(), exp.Literal.number(element[1]))
    if element == "E4Y":
        return macro("strftime", value.copy(), exp.Literal.string("%Y"))
    raise unsupported(f"the element %{element} of the format {text!r}")


def _check(element: str, kind: Type, text: str) -> None:
    """Refuses an element that a type has no value for; BigQuery refuses some and writes others."""
    letter = element.strip("E*0123456789-")[:1] or element
    of_date, of_clock = letter in _DATES or element == "E4Y", letter in _CLOCKS
    clock_only = kind.name == "TIME" and (of_date or letter in "zZs")
    date_only = kind.name == "DATE" and (of_clock or letter in "zZs" or element.endswith("S"))
    zoneless = kind.name == "DATETIME" and letter in "zZs"
    if clock_only or date_only or zoneless:
        raise unsupported(f"the element %{element} of the format {text!r} for {kind} values")


def _zone(element: str, kind: Type, *, utc: bool) -> str:
    if kind.name != "TIMESTAMP" or not utc:
        raise unsupported(f"the format element %{element} in a time zone")
    return {"z": "+0000", "Z": "UTC", "Ez": "+00:00"}[element]


def read_format(given: exp.Expr | None) -> exp.Expr:
    """A format of PARSE_DATE and its siblings, as strptime of DuckDB takes it.

    Raises:
        ApiError: it is computed, or has an element that is not supported.
    """
    text = literal(given)
    if text is None or not _READ.fullmatch(text):
        raise unsupported(f"the format {text!r} of this function")
    for element in ("F", "T", "D", "R"):
        text = text.replace(f"%{element}", _WRITTEN[element])
    text = text.replace("%e", "%d").replace("%-d", "%d")
    return exp.Literal.string(re.sub(r"%E[*1-6]S", "%S.%f", text))
