"""BigQuery's functions of dates and times, and its casts, written for DuckDB."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.functions import Function, function, literal, macro
from bigquery_emulator.storage.column_types import api_type

_CAST_MACRO = {
    "STRING": "string",
    "BYTES": "bytes",
    "INTEGER": "int64",
    "FLOAT": "float64",
    "NUMERIC": "numeric",
    "BOOLEAN": "bool",
    "DATE": "date",
    "DATETIME": "datetime",
    "TIMESTAMP": "timestamp",
    "TIME": "time",
}
# How long BigQuery's units are: the DuckDB function that makes an interval, and how many of it.
_INTERVALS = {
    "MICROSECOND": ("to_microseconds", 1),
    "MILLISECOND": ("to_milliseconds", 1),
    "SECOND": ("to_seconds", 1),
    "MINUTE": ("to_minutes", 1),
    "HOUR": ("to_hours", 1),
    "DAY": ("to_days", 1),
    "WEEK": ("to_days", 7),
    "ISOWEEK": ("to_days", 7),
    "MONTH": ("to_months", 1),
    "QUARTER": ("to_months", 3),
    "YEAR": ("to_months", 12),
}
_WEEKDAYS = ("MONDAY", "SUNDAY", "SATURDAY", "FRIDAY", "THURSDAY", "WEDNESDAY", "TUESDAY")
_EXTRACTED = {
    "YEAR": "year",
    "QUARTER": "quarter",
    "MONTH": "month",
    "DAY": "day",
    "DAYOFYEAR": "dayofyear",
    "ISOWEEK": "week",
    "ISOYEAR": "isoyear",
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
}
# Elements that strftime and strptime of DuckDB and of BigQuery agree on.
_FORMAT = re.compile(r"(?:[^%]|%[YmdHMSjyBbAaFT%])*")


def cast_to(value: exp.Expr, type_name: str, *, safe: bool = False) -> exp.Expr:
    """A value converted to a BigQuery type, as CAST or SAFE_CAST does it.

    Raises:
        ApiError: no such type, or one that values cannot be cast to here.
    """
    name = _CAST_MACRO.get(api_type(type_name))
    if name is None:
        raise unsupported(f"casts to {type_name}")
    return macro(f"bq_{'safe_' if safe else ''}to_{name}", value)


def _cast(node: exp.Cast) -> exp.Expr:
    if isinstance(node, exp.TryCast) and not node.args.get("safe"):
        raise unsupported("this cast")
    to = node.to
    if to.args.get("nested"):
        return _array_cast(node)
    if to.expressions:
        raise unsupported("parameterized types")
    return cast_to(node.this, to.sql("bigquery"), safe=isinstance(node, exp.TryCast))


def _array_cast(node: exp.Cast) -> exp.Expr:
    """ARRAY<T>[...]: an array constant whose elements have the type."""
    array: Any = node.this
    element = node.to.expressions[0]
    if not isinstance(array, exp.Array) or element.args.get("nested"):
        raise unsupported("casts of ARRAY and STRUCT")
    api_type(element.sql("bigquery"))
    return exp.Cast(this=array, to=node.to.copy())


def interval(amount: exp.Expr, unit: exp.Expr | None) -> exp.Expr:
    """So many of a unit, as a DuckDB interval.

    Raises:
        ApiError: no such unit.
    """
    name = str(unit.name if unit else "DAY").upper()
    if isinstance(unit, exp.WeekStart):
        name = "WEEK"
    if name not in _INTERVALS:
        raise unsupported(f"intervals of {name}")
    maker, times = _INTERVALS[name]
    text = literal(amount)
    # SQLGlot hands on the amount of a constant interval as text.
    number: exp.Expr = exp.Literal.number(text) if text is not None else macro("bq_int", amount)
    return macro(maker, exp.Mul(this=exp.Paren(this=number), expression=exp.Literal.number(times)))


def _shifted(node: Any, *, sign: int) -> exp.Expr:
    length = interval(node.expression, node.args.get("unit"))
    if sign < 0:
        length = exp.Neg(this=length)
    if isinstance(node, exp.DateAdd | exp.DateSub):
        return macro("bq_shift_date", node.this, length)
    return exp.Paren(this=exp.Add(this=node.this, expression=length))


def _truncated(node: Any) -> exp.Expr:
    unit = node.args.get("unit")
    # Buckets, because DuckDB's date_trunc makes a TIMESTAMP of a DATE.
    if isinstance(unit, exp.WeekStart):
        before = _WEEKDAYS.index(str(unit.name).upper())
        offset = macro("to_days", exp.Literal.number(-before))
        return macro("time_bucket", interval(exp.Literal.number(1), unit), node.this, offset)
    name = str(unit.name).upper()
    if name not in _INTERVALS:
        raise unsupported(f"truncation to {name}")
    return macro("time_bucket", interval(exp.Literal.number(1), exp.Var(this=name)), node.this)


def _difference(node: Any) -> exp.Expr:
    unit = node.args.get("unit")
    if isinstance(unit, exp.WeekStart):
        before = _WEEKDAYS.index(str(unit.name).upper())
        return macro("bq_week_diff", exp.Literal.number(before), node.this, node.expression)
    name = str(unit.name).upper() if unit else "DAY"
    if name == "WEEK":
        return macro("bq_week_diff", exp.Literal.number(1), node.this, node.expression)
    if name == "ISOWEEK":
        return macro("bq_week_diff", exp.Literal.number(0), node.this, node.expression)
    if name not in _INTERVALS:
        raise unsupported(f"differences in {name}")
    return macro("bq_diff", exp.Literal.string(name.lower()), node.this, node.expression)


def _extracted(node: exp.Extract) -> exp.Expr:
    value = node.expression
    part = node.this
    if isinstance(part, exp.WeekStart):
        raise unsupported("EXTRACT(WEEK(day))")
    name = str(part.name).upper()
    if name in ("DATE", "TIME", "DATETIME"):
        return cast_to(value, name)
    if name == "DAYOFWEEK":
        day = macro("date_part", exp.Literal.string("dow"), value)
        return exp.Paren(this=exp.Add(this=day, expression=exp.Literal.number(1)))
    if name == "WEEK":
        text = macro("strftime", value, exp.Literal.string("%U"))
        return exp.Cast(this=text, to=exp.DataType.build("BIGINT"))
    if name in ("MILLISECOND", "MICROSECOND"):
        # DuckDB's include the seconds.
        within = macro("date_part", exp.Literal.string(name.lower()), value)
        most = 1000 if name == "MILLISECOND" else 1_000_000
        return exp.Paren(this=exp.Mod(this=within, expression=exp.Literal.number(most)))
    if name not in _EXTRACTED:
        raise unsupported(f"EXTRACT({name})")
    return macro("date_part", exp.Literal.string(_EXTRACTED[name]), value)


def _in_zone(value: exp.Expr, zone: exp.Expr) -> exp.Expr:
    return exp.Paren(this=exp.AtTimeZone(this=value, zone=zone))


def _to_date(node: exp.Date) -> exp.Expr:
    zone = node.args.get("zone")
    return cast_to(_in_zone(node.this, zone) if zone else node.this, "DATE")


def _to_datetime(node: Any) -> exp.Expr:
    zone = node.args.get("expression")
    if zone is not None and literal(zone) is None:
        raise unsupported("DATETIME of a date and a time")
    return cast_to(_in_zone(node.this, zone) if zone else node.this, "DATETIME")


def _to_timestamp(node: exp.Timestamp) -> exp.Expr:
    zone = node.args.get("zone")
    if zone:
        return _in_zone(cast_to(node.this, "DATETIME"), zone)
    return cast_to(node.this, "TIMESTAMP")


def _now(kind: str) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        now = macro("now")
        if kind == "TIMESTAMP":
            return now
        zone = node.args.get("this") or exp.Literal.string("UTC")
        return cast_to(_in_zone(now, zone), kind)

    return build


def _checked_format(node: exp.Expr) -> exp.Expr:
    given = node.args.get("format")
    text = literal(given)
    if text is None or not _FORMAT.fullmatch(text):
        raise unsupported(f"the format {text!r} of this function")
    text = text.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    return exp.Literal.string(text)


def _formatted(node: exp.TimeToStr) -> exp.Expr:
    return macro("strftime", node.this, _checked_format(node))


def _parsed(kind: str) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        format_ = _checked_format(node)
        if "%Y" not in format_.this and "%y" not in format_.this:
            raise unsupported("parsing of times without a year")
        return cast_to(macro("strptime", node.this, format_), kind)

    return build


def _date_array(node: exp.GenerateDateArray) -> exp.Expr:
    step: Any = node.args.get("step")
    series = macro("generate_series", node.args["start"], node.args["end"], step)
    return exp.Cast(this=series, to=exp.DataType.build("DATE[]", dialect="duckdb"))


def _last_day(node: exp.LastDay) -> exp.Expr:
    unit = node.args.get("unit")
    if unit and str(unit.name).upper() != "MONTH":
        raise unsupported("LAST_DAY of other than months")
    return macro("last_day", node.this)


def _unix_seconds(node: exp.UnixSeconds) -> exp.Expr:
    seconds = macro("floor", macro("epoch", node.this))
    return exp.Cast(this=seconds, to=exp.DataType.build("BIGINT"))


def _from_unix(node: exp.UnixToTime) -> exp.Expr:
    scale = literal(node.args.get("scale")) or "0"
    per_second = {"0": 1_000_000, "3": 1_000, "6": 1}.get(scale)
    if per_second is None:
        raise unsupported("this conversion of Unix time")
    micros = exp.Mul(this=macro("bq_int", node.this), expression=exp.Literal.number(per_second))
    return macro("make_timestamptz", exp.Paren(this=micros))


def _interval_alone(node: exp.Interval) -> exp.Expr:
    if not isinstance(node.parent, exp.GenerateDateArray):
        raise invalid_query("INTERVAL is only supported within date and time functions")
    return interval(node.this, node.args.get("unit"))


_SHIFT = "this expression unit"
_DIFFERENCE = "this expression unit date_part_boundary"
TIME_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.Cast: function("this to", _cast),
    exp.TryCast: function("this to safe", _cast),
    exp.CurrentDate: function("this", _now("DATE")),
    exp.CurrentDatetime: function("this", _now("DATETIME")),
    exp.CurrentTimestamp: function("", _now("TIMESTAMP")),
    exp.Date: function("this zone", _to_date),
    exp.DateAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.DateDiff: function(_DIFFERENCE, _difference),
    exp.DateFromParts: function(
        "year month day",
        lambda node: macro("make_date", node.args["year"], node.args["month"], node.args["day"]),
    ),
    exp.DateSub: function(_SHIFT, lambda node: _shifted(node, sign=-1)),
    exp.DateTrunc: function("this unit", _truncated),
    exp.Datetime: function("this expression", _to_datetime),
    exp.DatetimeAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.DatetimeDiff: function(_DIFFERENCE, _difference),
    exp.DatetimeSub: function(_SHIFT, lambda node: _shifted(node, sign=-1)),
    exp.DatetimeTrunc: function("this unit", _truncated),
    exp.Extract: function("this expression", _extracted),
    exp.GenerateDateArray: function("start end step", _date_array),
    exp.Interval: function("this unit", _interval_alone),
    exp.LastDay: function("this unit", _last_day),
    exp.ParseDatetime: function("this format default_year", _parsed("DATETIME")),
    exp.StrToDate: function("this format default_year", _parsed("DATE")),
    exp.StrToTime: function("this format default_year", _parsed("TIMESTAMP")),
    exp.TimeToStr: function("this format", _formatted),
    exp.Timestamp: function("this zone with_tz", _to_timestamp),
    exp.TimestampAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.TimestampDiff: function(_DIFFERENCE, _difference),
    exp.TimestampSub: function(_SHIFT, lambda node: _shifted(node, sign=-1)),
    exp.TimestampTrunc: function("this unit", _truncated),
    exp.TsOrDsToDate: function("this", lambda node: cast_to(node.this, "DATE")),
    exp.TsOrDsToDatetime: function("this", lambda node: cast_to(node.this, "DATETIME")),
    exp.TsOrDsToTime: function("this", lambda node: cast_to(node.this, "TIME")),
    exp.TsOrDsToTimestamp: function("this", lambda node: cast_to(node.this, "TIMESTAMP")),
    exp.UnixSeconds: function("this", _unix_seconds),
    exp.UnixToTime: function("this scale", _from_unix),
}
