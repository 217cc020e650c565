"""Functions of strings, bytes and arrays beyond those of functions.py, and the SAFE ones."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.conversions import NATIVE, is_constant
from bigquery_emulator.sql.functions import (
    Function,
    function,
    literal,
    macro,
    pattern_and_groups,
    plain,
)
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import FLOAT64, INT64

MORE_MACROS = """
CREATE OR REPLACE MACRO bq_reverse(x) AS
    array_to_string(list_reverse(string_split(x, '')), '');
CREATE OR REPLACE MACRO bq_repeat(x, n) AS CASE
    WHEN n < 0 THEN bq_error('Second argument in REPEAT() cannot be negative')
    ELSE repeat(x, n) END;
CREATE OR REPLACE MACRO bq_ascii(x) AS CASE WHEN ascii(x) > 127
    THEN bq_error('Non-ASCII character in ASCII()') ELSE CAST(ascii(x) AS BIGINT) END;
CREATE OR REPLACE MACRO bq_hex(x) AS lower(hex(x));
CREATE OR REPLACE MACRO bq_digest(x) AS unhex(x);
CREATE OR REPLACE MACRO bq_unicode(x) AS CASE WHEN x = '' THEN 0 ELSE unicode(x) END;
CREATE OR REPLACE MACRO bq_code_points(a) AS
    CASE WHEN len(list_filter(a, lambda c: c IS NULL)) = 0 THEN
    array_to_string(list_transform(a, lambda c: chr(CAST(c AS INTEGER))), '') END;
CREATE OR REPLACE MACRO bq_chr(n) AS CASE WHEN n = 0 THEN '' ELSE chr(CAST(n AS INTEGER)) END;
CREATE OR REPLACE MACRO bq_to_code_points(x) AS CASE WHEN x = '' THEN [] ELSE
    list_transform(string_split(x, ''), lambda c: CAST(unicode(c) AS BIGINT)) END;
CREATE OR REPLACE MACRO bq_join(a, s) AS
    CASE WHEN s IS NOT NULL AND a IS NOT NULL THEN coalesce(
    array_to_string(list_filter(a, lambda e: e IS NOT NULL), s), '') END;
CREATE OR REPLACE MACRO bq_join_nulls(a, s, n) AS
    CASE WHEN s IS NOT NULL AND a IS NOT NULL THEN coalesce(array_to_string(
    list_transform(a, lambda e: coalesce(e, n)), s), '') END;
CREATE OR REPLACE MACRO bq_first(a) AS CASE WHEN len(a) = 0
    THEN bq_error('ARRAY_FIRST cannot get the first element of an empty array') ELSE a[1] END;
CREATE OR REPLACE MACRO bq_last(a) AS CASE WHEN len(a) = 0
    THEN bq_error('ARRAY_LAST cannot get the last element of an empty array') ELSE a[len(a)] END;
CREATE OR REPLACE MACRO bq_int_or_null(x) AS TRY_CAST(x AS BIGINT);
CREATE OR REPLACE MACRO bq_float_or_null(x, a, b) AS
    CASE WHEN isinf(x) AND NOT isinf(a) AND NOT isinf(b) THEN NULL ELSE x END;
CREATE OR REPLACE MACRO bq_ieee_divide(a, b) AS CASE
    WHEN b = 0 AND (a = 0 OR isnan(a)) THEN CAST('nan' AS DOUBLE)
    WHEN b = 0 AND (a > 0) = (printf('%g', b) = '0') THEN CAST('inf' AS DOUBLE)
    WHEN b = 0 THEN CAST('-inf' AS DOUBLE) ELSE a / b END;
"""
# Functions whose own errors SAFE. makes NULLs; none of their macros refuses what is not supported.
_SAFE = (
    *(exp.StrToDate, exp.StrToTime, exp.ParseDatetime, exp.ParseTime, exp.DateFromParts),
    *(exp.Ln, exp.Sqrt, exp.Substring, exp.Left, exp.Right, exp.Repeat, exp.TimestampFromParts),
)


def safe_call(node: exp.SafeFunc) -> exp.Expr:
    """SAFE.f(x): NULL where the function fails; what its arguments compute may still fail."""
    call = node.this
    if not isinstance(call, _SAFE):
        name = call.sql_name() if isinstance(call, exp.Func) else call.key.upper()
        raise unsupported(f"SAFE.{name}")
    for one in call.iter_expressions():
        value = one.this if one.meta.get(NATIVE) else one
        if not is_constant(value) and not isinstance(value, exp.Column | exp.Dot | exp.Var):
            raise unsupported("SAFE. with computed arguments")
    node.meta["safe"] = True
    return node


def _safe(node: exp.SafeFunc) -> exp.Expr:
    return macro("try", node.this)


def _safe_arithmetic(kind: type[exp.Expr]) -> Any:
    def build(node: Any) -> exp.Expr:
        left, right = node.this, node.args.get("expression")
        if type_of(node) == INT64:
            wide = exp.DataType.build("HUGEINT", dialect="duckdb")
            left = exp.Cast(this=left.copy(), to=wide)
            right = exp.Cast(this=right.copy(), to=wide.copy()) if right is not None else None
            result = kind(this=left, expression=right) if right is not None else exp.Neg(this=left)
            return macro("bq_int_or_null", result)
        if type_of(node) != FLOAT64 or right is None:
            raise unsupported(f"{node.sql_name()} of these values")
        result = kind(this=exp.Paren(this=left.copy()), expression=exp.Paren(this=right.copy()))
        return macro("bq_float_or_null", result, left.copy(), right.copy())

    return build


def _joined(node: exp.ArrayToString) -> exp.Expr:
    null = node.args.get("null")
    if null is None:
        return macro("bq_join", node.this, node.expression)
    return macro("bq_join_nulls", node.this, node.expression, null)


def _concatenated(node: exp.ArrayConcat) -> exp.Expr:
    joined: exp.Expr = node.this.copy()
    for one in node.expressions:
        joined = exp.DPipe(this=joined, expression=one.copy())
    return exp.Paren(this=joined)


def _extracted(node: exp.RegexpExtractAll) -> exp.Expr:
    _, groups = pattern_and_groups(node, "REGEXP_EXTRACT_ALL")
    return macro("regexp_extract_all", node.this, node.expression, exp.Literal.number(groups))


def _sha(node: exp.SHA2Digest) -> exp.Expr:
    if literal(node.args.get("length")) != "256":
        raise unsupported("SHA512")
    return macro("bq_digest", macro("sha256", node.this))


MORE_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.ArrayConcat: function("this expressions null_propagation", _concatenated),
    exp.ArrayFirst: function("this", plain("bq_first")),
    exp.ArrayLast: function("this", plain("bq_last")),
    exp.ArrayReverse: function("this", plain("list_reverse")),
    exp.ArrayToString: function("this expression null", _joined),
    exp.Ascii: function("this", plain("bq_ascii")),
    exp.ByteLength: function("this", plain("strlen")),
    exp.Chr: function("expressions", lambda node: macro("bq_chr", node.expressions[0])),
    exp.CodePointsToString: function("this", plain("bq_code_points")),
    exp.LowerHex: function("this", plain("bq_hex")),
    exp.MD5: function("this", plain("md5")),
    exp.MD5Digest: function("this", lambda node: macro("bq_digest", macro("md5", node.this))),
    exp.RegexpExtractAll: function(
        "this expression group parameters position occurrence", _extracted
    ),
    exp.Repeat: function(
        "this times", lambda node: macro("bq_repeat", node.this, node.args["times"])
    ),
    exp.Reverse: function("this", plain("bq_reverse")),
    exp.SafeAdd: function("this expression", _safe_arithmetic(exp.Add)),
    exp.SafeFunc: function("this", _safe),
    exp.SafeMultiply: function("this expression", _safe_arithmetic(exp.Mul)),
    exp.SafeNegate: function("this", _safe_arithmetic(exp.Neg)),
    exp.SafeSubtract: function("this expression", _safe_arithmetic(exp.Sub)),
    exp.SHA2Digest: function("this length", _sha),
    exp.ToBase64: function("this", plain("to_base64")),
    exp.ToCodePoints: function("this", plain("bq_to_code_points")),
    exp.Unicode: function("this", plain("bq_unicode")),
    exp.Uuid: function(
        "this name is_string",
        lambda _: exp.Cast(this=macro("uuid"), to=exp.DataType.build("TEXT")),
    ),
}
