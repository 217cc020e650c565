"""BigQuery's functions of dates and times, and its casts, written for DuckDB."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.casts import cast_to
from bigquery_emulator.sql.conversions import NATIVE
from bigquery_emulator.sql.functions import Function, function, literal, macro
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.time_formats import formatted, read_format
from bigquery_emulator.sql.types import (
    DATE,
    DATETIME,
    STRING,
    TIME,
    TIMESTAMP,
    Type,
    duckdb_name,
)

_CLOCK_UNITS = {"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"}
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


def _cast(node: exp.Cast) -> exp.Expr:
    if isinstance(node, exp.TryCast) and not node.args.get("safe"):
        raise unsupported("this cast")
    kind = type_of(node)
    if node.meta.get(NATIVE) or kind is None or kind.name in ("ARRAY", "STRUCT"):
        to = node.to if kind is None else duckdb_name(kind)
        return exp.Cast(this=node.this, to=to)
    return cast_to(node.this, kind, safe=isinstance(node, exp.TryCast))


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
    if type_of(node) == DATE:
        return macro("bq_shift_date", node.this, length)
    if type_of(node) != TIME:
        return macro("bq_shift", node.this, length)
    return exp.Paren(this=exp.Add(this=node.this, expression=length))


def _truncated(node: Any) -> exp.Expr:
    zone, unit = node.args.get("zone"), node.args.get("unit")
    if type_of(node) == TIME:
        return macro("bq_time_trunc", exp.Literal.string(str(unit.name).lower()), node.this)
    if zone is None:
        return _bucket(node.this, unit)
    local = in_zone(node.this, zone)
    if str(unit.name).upper() in _CLOCK_UNITS:
        # What is cut off is the same in the zone and outside, also in an hour that comes twice.
        return macro("bq_less", node.this, local, _bucket(local.copy(), unit))
    return macro("bq_in_zone", _bucket(local, unit), zone.copy())


def _bucket(value: exp.Expr, unit: Any) -> exp.Expr:
    # Buckets, because DuckDB's date_trunc makes a TIMESTAMP of a DATE.
    if isinstance(unit, exp.WeekStart):
        before = _WEEKDAYS.index(str(unit.name).upper())
        offset = macro("to_days", exp.Literal.number(-before))
        return macro("time_bucket", interval(exp.Literal.number(1), unit), value, offset)
    name = str(unit.name).upper()
    if name == "WEEK":  # weeks begin on Sundays
        offset = macro("to_days", exp.Literal.number(-1))
        return macro("time_bucket", interval(exp.Literal.number(1), unit), value, offset)
    if name not in _INTERVALS:
        raise unsupported(f"truncation to {name}")
    return macro("time_bucket", interval(exp.Literal.number(1), exp.Var(this=name)), value)


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
        first = (8 - _WEEKDAYS.index(str(part.name).upper())) % 7
        return macro("bq_week", value, exp.Literal.number(first))
    name = str(part.name).upper()
    if name in ("DATE", "TIME", "DATETIME"):
        return cast_to(value, Type(name))
    if name == "DAYOFWEEK":
        day = macro("date_part", exp.Literal.string("dow"), value)
        return exp.Paren(this=exp.Add(this=day, expression=exp.Literal.number(1)))
    if name == "WEEK":
        return macro("bq_week", value, exp.Literal.number(0))
    if name in ("MILLISECOND", "MICROSECOND"):
        # DuckDB's include the seconds.
        within = macro("date_part", exp.Literal.string(name.lower()), value)
        most = 1000 if name == "MILLISECOND" else 1_000_000
        return exp.Paren(this=exp.Mod(this=within, expression=exp.Literal.number(most)))
    if name not in _EXTRACTED:
        raise unsupported(f"EXTRACT({name})")
    return macro("date_part", exp.Literal.string(_EXTRACTED[name]), value)


def in_zone(value: exp.Expr, zone: exp.Expr) -> exp.Expr:
    """A TIMESTAMP as the DATETIME of a zone."""
    local = exp.Paren(this=exp.AtTimeZone(this=value.copy(), zone=zone_name(zone)))
    set_type(local, DATETIME)
    return local


def zone_name(zone: exp.Expr) -> exp.Expr:
    """A zone as DuckDB names it; offsets are named otherwise there."""
    text = literal(zone)
    if text is not None and not text.startswith(("+", "-")):
        return zone.copy()
    return macro("bq_zone", zone.copy())


def _to_date(node: exp.Date) -> exp.Expr:
    zone = node.args.get("zone")
    return cast_to(in_zone(node.this, zone) if zone else node.this, DATE)


def _to_datetime(node: Any) -> exp.Expr:
    second = node.args.get("expression")
    if second is not None and type_of(second) == TIME:
        return exp.Paren(this=exp.Add(this=node.this.copy(), expression=second.copy()))
    return cast_to(in_zone(node.this, second) if second else node.this, DATETIME)


def _to_timestamp(node: exp.Timestamp) -> exp.Expr:
    zone = node.args.get("zone")
    if not zone:
        return cast_to(node.this, TIMESTAMP)
    if type_of(node.this) == STRING:
        return macro("bq_text_in_zone", node.this, zone)
    return macro("bq_in_zone", cast_to(node.this, DATETIME), zone)


def _now(kind: Type) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        now = set_typed(macro("now"), TIMESTAMP)
        if kind == TIMESTAMP:
            return now
        zone = node.args.get("this") or exp.Literal.string("UTC")
        return cast_to(in_zone(now, zone), kind)

    return build


def set_typed(node: exp.Expr, kind: Type) -> exp.Expr:
    """The expression, with its type noted."""
    set_type(node, kind)
    return node


def _formatted(node: exp.TimeToStr) -> exp.Expr:
    kind = type_of(node.this) or DATE
    zone = node.args.get("zone")
    value = in_zone(node.this, zone) if zone else node.this
    return formatted(value, kind, node.args["format"], utc=zone is None)


def _parsed(kind: Type) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        format_ = read_format(node.args.get("format"))
        if kind != TIME and "%Y" not in format_.this and "%y" not in format_.this:
            raise unsupported("parsing of times without a year")
        value = set_typed(macro("strptime", node.this, format_), DATETIME)
        if zone := node.args.get("zone"):
            return macro("bq_in_zone", value, zone)
        return cast_to(value, kind)

    return build


def _date_array(node: exp.GenerateDateArray) -> exp.Expr:
    step: Any = node.args.get("step") or macro("to_days", exp.Literal.number(1))
    series = macro("generate_series", node.args["start"], node.args["end"], step)
    return exp.Cast(this=series, to=exp.DataType.build("DATE[]", dialect="duckdb"))


def _last_day(node: exp.LastDay) -> exp.Expr:
    unit: Any = node.args.get("unit") or exp.Var(this="MONTH")
    value = cast_to(node.this, DATE)
    if str(unit.name).upper() == "MONTH" and not isinstance(unit, exp.WeekStart):
        return macro("last_day", value)
    return macro("bq_last_day", _bucket(value, unit), interval(exp.Literal.number(1), unit))


def _unix(per_second: int) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        return macro("bq_floor_div", macro("epoch_us", node.this), exp.Literal.number(per_second))

    return build


def _from_unix(node: exp.UnixToTime) -> exp.Expr:
    scale = literal(node.args.get("scale")) or "0"
    per_second = {"0": 1_000_000, "3": 1_000, "6": 1}.get(scale)
    if per_second is None:
        raise unsupported("this conversion of Unix time")
    micros = exp.Mul(this=macro("bq_int", node.this), expression=exp.Literal.number(per_second))
    return macro("bq_in_range", macro("make_timestamptz", exp.Paren(this=micros)))


def _interval_alone(node: exp.Interval) -> exp.Expr:
    if not isinstance(node.parent, exp.GenerateDateArray | exp.Add | exp.Sub):
        raise unsupported("INTERVAL but for date and time functions and operators")
    if isinstance(node.args.get("unit"), exp.IntervalSpan):
        raise unsupported("intervals of several units")
    length = interval(node.this, node.args.get("unit"))
    length.meta["unit"] = str(node.args["unit"].name).upper()
    return length


def _parts(name: str, parts: str) -> Any:
    def build(node: exp.Expr) -> exp.Expr:
        made = macro(name, *[node.args[part] for part in parts.split()])
        return made if name == "make_time" else macro("bq_in_range", made)

    return build


_EPOCH = exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("DATE"))
_SHIFT = "this expression unit"
_DIFFERENCE = "this expression unit date_part_boundary"
TIME_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.Cast: function("this to", _cast),
    exp.TryCast: function("this to safe", _cast),
    exp.AtTimeZone: function("this zone", lambda node: in_zone(node.this, node.args["zone"])),
    exp.CurrentDate: function("this", _now(DATE)),
    exp.CurrentDatetime: function("this", _now(DATETIME)),
    exp.CurrentTimestamp: function("", _now(TIMESTAMP)),
    exp.Date: function("this zone", _to_date),
    exp.DateAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.DateDiff: function(_DIFFERENCE, _difference),
    exp.DateFromParts: function("year month day", _parts("make_date", "year month day")),
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
    exp.ParseDatetime: function("this format default_year", _parsed(DATETIME)),
    exp.StrToDate: function("this format default_year", _parsed(DATE)),
    exp.StrToTime: function("this format zone default_year", _parsed(TIMESTAMP)),
    exp.ParseTime: function("this format", _parsed(TIME)),
    exp.TimeToStr: function("this format zone", _formatted),
    exp.TimeAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.TimeDiff: function(_DIFFERENCE, _difference),
    exp.TimeFromParts: function("hour min sec", _parts("make_time", "hour min sec")),
    exp.TimeSub: function(_SHIFT, lambda node: _shifted(node, sign=-1)),
    exp.TimeTrunc: function("this unit", _truncated),
    exp.TimestampFromParts: function(
        "year month day hour min sec", _parts("make_timestamp", "year month day hour min sec")
    ),
    exp.Timestamp: function("this zone with_tz", _to_timestamp),
    exp.TimestampAdd: function(_SHIFT, lambda node: _shifted(node, sign=1)),
    exp.TimestampDiff: function(_DIFFERENCE, _difference),
    exp.TimestampSub: function(_SHIFT, lambda node: _shifted(node, sign=-1)),
    exp.TimestampTrunc: function("this unit zone", _truncated),
    exp.TsOrDsToDate: function("this", lambda node: cast_to(node.this, DATE)),
    exp.TsOrDsToDatetime: function("this", lambda node: cast_to(node.this, DATETIME)),
    exp.TsOrDsToTime: function("this", lambda node: cast_to(node.this, TIME)),
    exp.TsOrDsToTimestamp: function("this", lambda node: cast_to(node.this, TIMESTAMP)),
    exp.DateFromUnixDate: function(
        "this", lambda node: macro("bq_shift_date", _EPOCH.copy(), macro("to_days", node.this))
    ),
    exp.UnixDate: function("this", lambda node: macro("bq_unix_date", node.this)),
    exp.UnixMicros: function("this", lambda node: macro("epoch_us", node.this)),
    exp.UnixMillis: function("this", _unix(1_000)),
    exp.UnixSeconds: function("this", _unix(1_000_000)),
    exp.UnixToTime: function("this scale", _from_unix),
}
