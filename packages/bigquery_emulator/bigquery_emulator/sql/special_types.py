"""Types that a signature alone does not say: casts, EXTRACT, FORMAT, units, arrays.

Whether a type itself may be used is decided here too, for what BigQuery refuses by unit or kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import ApiError, invalid_query, unsupported
from bigquery_emulator.sql.conversions import convert, is_constant, wrap
from bigquery_emulator.sql.functions import macro
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.signatures import Argument, no_signature
from bigquery_emulator.sql.types import (
    DATE,
    DATETIME,
    INT64,
    NULL,
    STRING,
    TIME,
    TIMESTAMP,
    Type,
    array_of,
    conversion_cost,
    node_of_type,
    stored_name,
)
from bigquery_emulator.storage.type_limits import call_of_limit, checked_limits, written_limits

_CASTS: dict[str, set[str]] = {
    "INT64": {"BOOL", "NUMERIC", "FLOAT64", "STRING"},
    "NUMERIC": {"INT64", "FLOAT64", "STRING"},
    "FLOAT64": {"INT64", "NUMERIC", "STRING"},
    "BOOL": {"INT64", "STRING"},
    "STRING": {
        *("INT64", "NUMERIC", "FLOAT64", "BOOL", "BYTES"),
        *("DATE", "DATETIME", "TIMESTAMP", "TIME"),
    },
    "BYTES": {"STRING"},
    "DATE": {"STRING", "DATETIME", "TIMESTAMP"},
    "DATETIME": {"STRING", "DATE", "TIME", "TIMESTAMP"},
    "TIMESTAMP": {"STRING", "DATE", "DATETIME", "TIME"},
    "TIME": {"STRING"},
}
_SHORT = {"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"}
_WEEKS = {"WEEK", "ISOWEEK"}
_LONG = {"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
_DATES = {"DAY", "WEEK", "ISOWEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR"}
_SHIFTS = (
    *(exp.DateAdd, exp.DateSub, exp.DatetimeAdd, exp.DatetimeSub),
    *(exp.TimestampAdd, exp.TimestampSub, exp.TimeAdd, exp.TimeSub),
)
_DIFFERENCES = (exp.DateDiff, exp.DatetimeDiff, exp.TimestampDiff, exp.TimeDiff)
_TRUNCATIONS = (exp.DateTrunc, exp.DatetimeTrunc, exp.TimestampTrunc, exp.TimeTrunc)
_SHIFT_UNITS = {
    "DATE": _LONG,
    "DATETIME": _LONG | _SHORT,
    "TIMESTAMP": _SHORT | {"DAY"},
    "TIME": _SHORT,
}
_DIFFERENCE_UNITS = {
    "DATE": _DATES,
    "DATETIME": _DATES | _SHORT,
    "TIMESTAMP": _SHORT | {"DAY"},
    "TIME": _SHORT,
}
_TRUNCATION_UNITS = {
    "DATE": _DATES,
    "DATETIME": _DATES | _SHORT,
    "TIMESTAMP": _DATES | _SHORT,
    "TIME": _SHORT,
}
_EXTRACTED_UNITS = {
    "DATE": _DATES | {"DAYOFWEEK", "DAYOFYEAR"},
    "DATETIME": _DATES | _SHORT | {"DAYOFWEEK", "DAYOFYEAR", "DATE", "TIME"},
    "TIMESTAMP": _DATES | _SHORT | {"DAYOFWEEK", "DAYOFYEAR", "DATE", "TIME", "DATETIME"},
    "TIME": _SHORT,
}
_NAMES: dict[type[exp.Expr], str] = {
    exp.ApproxDistinct: "APPROX_COUNT_DISTINCT",
    exp.ApproxTopK: "APPROX_TOP_COUNT",
    exp.ArgMax: "MAX_BY",
    exp.ArgMin: "MIN_BY",
    exp.ArraySize: "ARRAY_LENGTH",
    exp.BitwiseAndAgg: "BIT_AND",
    exp.BitwiseOrAgg: "BIT_OR",
    exp.BitwiseXorAgg: "BIT_XOR",
    exp.Contains: "CONTAINS_SUBSTR",
    exp.CountIf: "COUNTIF",
    exp.DateDiff: "DATE_DIFF",
    exp.DateFromParts: "DATE",
    exp.GenerateSeries: "GENERATE_ARRAY",
    exp.GroupConcat: "STRING_AGG",
    exp.IntDiv: "DIV",
    exp.JSONValueArray: "JSON_VALUE_ARRAY",
    exp.LogicalAnd: "LOGICAL_AND",
    exp.LogicalOr: "LOGICAL_OR",
    exp.LowerHex: "TO_HEX",
    exp.MD5: "TO_HEX",
    exp.MD5Digest: "MD5",
    exp.Pad: "LPAD",
    exp.Pow: "POW",
    exp.ParseJSON: "PARSE_JSON",
    exp.RegexpLike: "REGEXP_CONTAINS",
    exp.SHA2Digest: "SHA256",
    exp.StrPosition: "STRPOS",
    exp.StrToDate: "PARSE_DATE",
    exp.StrToTime: "PARSE_TIMESTAMP",
    exp.Substring: "SUBSTR",
    exp.TimeFromParts: "TIME",
    exp.TimestampDiff: "TIMESTAMP_DIFF",
    exp.TimestampFromParts: "DATETIME",
    exp.UnixToTime: "TIMESTAMP_SECONDS",
}


def name_of(node: exp.Expr) -> str:
    """BigQuery's name of a function."""
    if type(node) in _NAMES:
        return _NAMES[type(node)]
    if not isinstance(node, exp.Func):
        return node.key.upper()
    return node.sql_name().upper().replace("J_S_O_N", "JSON")


def check_cast(node: Any, given: Type, wanted: Type) -> None:
    """Refuses a cast that BigQuery does not make.

    Raises:
        ApiError: it does not make it, or it is not supported.
    """
    if given.name == "NULL" or conversion_cost(given, wanted) is not None:
        return
    if wanted.name in _CASTS.get(given.name, set()):
        return
    if {given.name, wanted.name} <= {"ARRAY", "STRUCT"}:
        if isinstance(node.this, exp.Array | exp.Struct):
            return
        raise unsupported("casts of ARRAY and STRUCT")
    raise invalid_query(f"Invalid cast from {given} to {wanted}")


def cast_type(node: Any, wanted: Type) -> Type:
    """The type of a cast; ``ARRAY<T>[...]`` and ``STRUCT<...>(...)`` are constructors."""
    inner = node.this
    if wanted.name in ("ARRAY", "STRUCT") and isinstance(inner, exp.Array | exp.Struct):
        given = type_of(inner) or NULL
        cost = conversion_cost(given, wanted, constant=is_constant(inner))
        if cost is None:
            raise invalid_query(f"Invalid cast from {given} to {wanted}")
        convert(inner, wanted)
        node.meta["constructor"] = True
    return wanted


def limited_cast(cast: exp.Expr, wanted: Type, limits: dict[str, str]) -> exp.Expr:
    """A cast to a parameterized type, such as STRING(64): rounded, or refused beyond its limits.

    Raises:
        ApiError: the type does not have these limits.
    """
    field = {"name": "of CAST", "type": wanted.name} | limits
    try:
        field |= checked_limits(field)
    except ApiError as error:
        raise invalid_query(error.message) from error
    name, numbers = call_of_limit(field)
    values = [cast, *(exp.var(str(number)) for number in numbers)]
    if isinstance(cast, exp.TryCast):
        return macro(f"bq_try_limit_{name}", *values)
    said = exp.Literal.string(f"{wanted}{written_limits(field)}")
    return macro(f"bq_limit_{name}", *values, said)


def array_type(element: Type) -> Type:
    """The type of an array with these elements.

    Raises:
        ApiError: an array cannot have them.
    """
    if element.name == "ARRAY":
        raise invalid_query(f"Cannot construct array with element type {element}")
    return array_of(None if element.name == "NULL" else element)


def element_type(node: exp.Bracket, kind: Type) -> Type:
    """The type of an element that an index picks out."""
    if kind.name != "ARRAY":
        raise invalid_query(f"Element access using [] is not supported on values of type {kind}")
    index = type_of(node.expressions[0])
    if index not in (INT64, NULL):
        raise invalid_query(f"Array position in [] must be coercible to INT64 type, not {index}")
    return kind.element or NULL


def field_name(node: exp.Expr) -> str:
    """The name of a STRUCT's field: as written, or of the column that it is."""
    if node.meta.get("unnamed"):
        return ""
    if isinstance(node, exp.PropertyEQ):
        return str(node.this.name)
    if isinstance(node, exp.Alias):
        return node.alias
    return node.output_name if isinstance(node, exp.Column | exp.Dot) else ""


def name_fields(node: exp.Struct, fields: list[tuple[str, Type, exp.Expr]]) -> None:
    """Gives each value of a STRUCT the name that DuckDB needs."""
    named = []
    for at, (name, _, value) in enumerate(fields, start=1):
        identifier = exp.to_identifier(stored_name(name, at), quoted=True)
        pair = exp.PropertyEQ(this=identifier, expression=value.unalias())
        named.append(pair)
    node.set("expressions", named)


def single_fields(node: exp.Array) -> None:
    """Makes STRUCTs of the values in parentheses that stand beside STRUCTs of one field."""
    kinds = [type_of(one) or NULL for one in node.expressions]
    first = next((kind for kind in kinds if kind.name == "STRUCT"), None)
    if first is None or len(first.fields) != 1:
        return
    name = first.fields[0][0]
    for one, kind in zip(list(node.expressions), kinds, strict=True):
        if isinstance(one, exp.Paren) and kind.name != "STRUCT":
            key = exp.to_identifier(stored_name(name, 1), quoted=True)
            pair = exp.PropertyEQ(this=key, expression=one.this.copy())
            struct = exp.Struct(expressions=[pair])
            set_type(struct, Type("STRUCT", fields=((name, kind),)))
            one.replace(struct)


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    if isinstance(unit, exp.WeekStart):
        return "WEEK"
    return str(unit.name).upper() if unit else "DAY"


def check_before(node: exp.Expr, given: Sequence[Argument]) -> None:
    """Refuses arguments that a signature would convert, and BigQuery does not take.

    Raises:
        ApiError: there is such an argument.
    """
    kinds = [one.kind.name for one in given]
    if isinstance(node, exp.Mod | exp.IntDiv) and "FLOAT64" in kinds:
        raise no_signature(name_of(node), given)
    if isinstance(node, exp.Max | exp.Min | exp.Greatest | exp.Least | exp.ArgMax | exp.ArgMin):
        wrong = {"ARRAY", "STRUCT", "JSON"} & set(kinds[-1:] if len(kinds) == 2 else kinds)
        if wrong:
            raise invalid_query(
                f"{name_of(node)} is not defined for arguments of type {given[-1].kind}"
            )


def prepared(node: Any, nodes: list[Any]) -> None:
    """Converts arguments that BigQuery converts beyond what signatures say."""
    if isinstance(node, exp.Concat):
        kinds = {(type_of(one) or NULL).name for one in nodes}
        if not kinds & {"BYTES", "ARRAY", "STRUCT"}:
            for one in nodes:
                if type_of(one) not in (STRING, NULL):
                    wrap(one, lambda inner: exp.Cast(this=inner, to=node_of_type(STRING)), STRING)
    elif isinstance(node, _SHIFTS):
        amount = node.expression
        if isinstance(amount, exp.Literal) and amount.is_string and type_of(amount) == STRING:
            # SQLGlot hands on the number of a constant interval as text.
            number = exp.Literal.number(amount.this)
            set_type(number, INT64)
            amount.replace(number)


def checked_result(node: exp.Expr, wanted: Sequence[Type], result: Type) -> Type:
    """The result's type, if the function may be used so.

    Raises:
        ApiError: the unit does not go with the type, or the case is not supported.
    """
    if isinstance(node, exp.ArrayAgg):
        return array_type(wanted[0])
    unit = _unit(node)
    for kinds, units in (
        (_SHIFTS, _SHIFT_UNITS),
        (_DIFFERENCES, _DIFFERENCE_UNITS),
        (_TRUNCATIONS, _TRUNCATION_UNITS),
    ):
        if isinstance(node, kinds):
            kind = wanted[0] if wanted[0].name != "NULL" else DATE
            if unit not in units[kind.name]:
                raise invalid_query(f"{name_of(node)} does not support the {unit} date part")
    if result.name == "NUMERIC" and isinstance(node, _NO_NUMERIC):
        raise unsupported(f"{name_of(node)} of NUMERIC values")
    return result


_NO_NUMERIC = (exp.Avg, exp.SafeDivide, exp.IntDiv, exp.Mod, exp.GenerateSeries)


def extracted_type(node: exp.Extract, kind: Type) -> Type:
    """The type of an EXTRACT.

    Raises:
        ApiError: the value has no such part.
    """
    part = "WEEK" if isinstance(node.this, exp.WeekStart) else str(node.this.name).upper()
    if kind.name == "NULL":
        return INT64
    if kind.name not in _EXTRACTED_UNITS:
        raise no_signature("EXTRACT", [Argument(kind)])
    if part not in _EXTRACTED_UNITS[kind.name]:
        raise invalid_query(f"EXTRACT from {kind} does not support the {part} date part")
    return {"DATE": DATE, "TIME": TIME, "DATETIME": DATETIME}.get(part, INT64)


_FORMATTED: dict[type[exp.Expr], Type] = {
    exp.TsOrDsToDate: DATE,
    exp.TsOrDsToDatetime: DATETIME,
    exp.TsOrDsToTimestamp: TIMESTAMP,
    exp.TsOrDsToTime: TIME,
}


def formatted_value(node: exp.Expr) -> Type:
    """The type of what FORMAT_DATE and its siblings are given; also of DATETIME(x) and TIME(x)."""
    wanted = _FORMATTED[type(node)]
    given = type_of(node.this) or NULL
    if not isinstance(node.parent, exp.TimeToStr):
        allowed = {"STRING", "DATE", "DATETIME", "TIMESTAMP", "TIME", "NULL"}
        if given.name not in allowed or (wanted == TIME and given == DATE):
            raise no_signature(str(wanted), [Argument(given)])
        return wanted
    cost = conversion_cost(given, wanted, constant=is_constant(node.this))
    if cost is None:
        raise no_signature(f"FORMAT_{wanted}", [Argument(STRING), Argument(given)])
    convert(node.this, wanted)
    return wanted


def formatted_type(node: exp.TimeToStr) -> Type:
    """The type of FORMAT_DATE and its siblings."""
    if node.args.get("zone") is not None and type_of(node.this) != TIMESTAMP:
        raise no_signature("FORMAT_DATE", [Argument(type_of(node.this) or NULL)])
    return STRING


def format_type(node: exp.Format) -> Type:
    """The type of FORMAT."""
    if not isinstance(node.this, exp.Literal) or type_of(node.this) != STRING:
        raise unsupported("FORMAT with a computed format")
    return STRING


def top_count_type(node: exp.ApproxTopK) -> Type:
    """The type of APPROX_TOP_COUNT."""
    value = type_of(node.this) or NULL
    return array_of(Type("STRUCT", fields=(("value", value), ("count", INT64))))
