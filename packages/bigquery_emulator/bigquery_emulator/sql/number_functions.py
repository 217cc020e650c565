"""BigQuery's arithmetic and functions of numbers, written for DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.float_comparisons import no_nan
from bigquery_emulator.sql.functions import Builder, Function, function, literal, macro, plain
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import DATE, FLOAT64, INT64, NUMERIC

_MOVED = ("DATE", "DATETIME", "TIMESTAMP")
_MONTHS = ("MONTH", "QUARTER", "YEAR")


def _called(name: str) -> Builder:
    """A function of one or two arguments, by name; DISTINCT may stand before them."""

    def build(node: exp.Expr) -> exp.Expr:
        return macro(name, node.this, node.args.get("expression"))

    return build


def _finite(build: Builder) -> Builder:
    """A function whose FLOAT64 result must not be infinite."""

    def built(node: exp.Expr) -> exp.Expr:
        # A window's function must stay where it is.
        windowed = isinstance(node.parent, exp.Window | exp.Filter)
        if windowed or type_of(node) not in (FLOAT64, None):
            return build(node)
        return macro("bq_finite", build(node))

    return built


def _arithmetic(build: Builder) -> Builder:
    """Arithmetic: the last of a chain is looked at, once for all; a macro repeats what it is given.

    What overflows in the middle stays infinite to the end of the chain, unless it meets its
    opposite and becomes NaN, which is then not noticed. A divisor is a chain of its own: what is
    divided by Infinity is zero.
    """

    def built(node: exp.Expr) -> exp.Expr:
        child, parent = node, node.parent
        while isinstance(parent, exp.Paren | exp.Neg):
            child, parent = parent, parent.parent
        divides = isinstance(parent, exp.Div) and parent.this is child
        if divides or isinstance(parent, exp.Add | exp.Sub | exp.Mul):
            return build(node)
        if type_of(node) not in (FLOAT64, None):
            return build(node)
        infinite = _infinite_operand(node)
        if infinite is None:
            return macro("bq_finite", build(node))
        return macro("bq_no_overflow", build(node), infinite)

    return built


def _infinite_operand(node: exp.Expr) -> exp.Expr | None:
    """A condition that an operand is infinite, so that the result may be; None if not known."""
    leaves = list(_operands(node))
    if any(not isinstance(leaf, exp.Column | exp.Dot) for leaf in leaves):
        return None
    conditions = {leaf.sql(): macro("isinf", leaf.copy()) for leaf in leaves}
    if not conditions:
        return exp.Boolean(this=False)
    return exp.Paren(this=exp.or_(*conditions.values()))


def _operands(node: Any) -> Iterator[exp.Expr]:
    """What a chain of arithmetic computes with, but for constants and integers."""
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
        yield from _operands(node.left)
        yield from _operands(node.right)
    elif isinstance(node, exp.Anonymous) and node.this == "bq_quotient":
        for part in node.expressions:
            yield from _operands(part)
    elif isinstance(node, exp.Paren | exp.Neg):
        yield from _operands(node.this)
    elif isinstance(node, exp.Cast) and not node.meta.get("bound"):
        if not isinstance(node.this, exp.Literal) and type_of(node.this) != INT64:
            yield node
    elif not isinstance(node, exp.Literal | exp.Null):
        yield node


def _itself(node: exp.Expr) -> exp.Expr:
    return node.copy()


def _added(node: Any) -> exp.Expr:
    """A sum or difference of numbers, or a date or time that is moved."""
    moved = type_of(node)
    if moved is None or moved.name not in _MOVED:
        return _itself(node)
    value, length = node.this.copy(), node.expression
    if type_of(length) == INT64:
        length = macro("to_days", exp.Cast(this=length.copy(), to=exp.DataType.build("INT")))
    elif moved.name == "TIMESTAMP" and length.meta.get("unit") in _MONTHS:
        raise invalid_query(
            "TIMESTAMP +/- INTERVAL is not supported for intervals with non-zero MONTH or YEAR part"
        )
    if type_of(value) == DATE:
        value = exp.Cast(this=value, to=exp.DataType.build("TIMESTAMP", dialect="duckdb"))
    if isinstance(node, exp.Sub):
        length = exp.Neg(this=exp.Paren(this=length.copy()))
    return macro("bq_shift_date" if moved == DATE else "bq_shift", value, length.copy())


def _product(node: exp.Mul) -> exp.Expr:
    if type_of(node) == NUMERIC:
        return exp.Cast(this=node.copy(), to=exp.DataType.build("DECIMAL(38, 9)"))
    return _itself(node)


def _sum(node: exp.Sum) -> exp.Expr:
    return _itself(node)


def _rounded(name: str) -> Builder:
    """ROUND, TRUNC, CEIL and FLOOR: of FLOAT64, or of NUMERIC."""

    def build(node: exp.Expr) -> exp.Expr:
        decimals = node.args.get("decimals")
        if decimals is None:
            return macro(name, node.this)
        if name == "trunc":
            if type_of(node) == NUMERIC:
                raise unsupported("TRUNC of NUMERIC values to a number of digits")
            return macro("bq_trunc_to", node.this, decimals)
        if type_of(node) == NUMERIC:
            return macro("bq_round_numeric", node.this, decimals)
        return macro("bq_round_to", node.this, decimals)

    return build


def _quantile(name: str) -> Builder:
    return lambda node: macro(name, no_nan(node.this, type_of(node.this)), node.expression)


def _log(node: exp.Log) -> exp.Expr:
    # SQLGlot has the base first.
    value, base = node.expression, node.this
    if base is None or value is None:
        return macro("ln", node.this)
    if literal(base) in ("10", "10.0"):
        return macro("log10", value)
    return exp.Div(this=macro("ln", value), expression=macro("ln", base))


NUMBERS: dict[type[exp.Expr], Function] = {
    # Aggregates.
    exp.Avg: function("this", _finite(_called("avg"))),
    exp.BitwiseAndAgg: function("this", plain("bit_and")),
    exp.BitwiseOrAgg: function("this", plain("bit_or")),
    exp.BitwiseXorAgg: function("this", plain("bit_xor")),
    exp.Corr: function("this expression", _called("bq_corr")),
    exp.CovarPop: function("this expression", _called("covar_pop")),
    exp.CovarSamp: function("this expression", _called("covar_samp")),
    exp.PercentileCont: function("this expression", _quantile("quantile_cont")),
    exp.PercentileDisc: function("this expression", _quantile("quantile_disc")),
    exp.Stddev: function("this", _called("stddev_samp")),
    exp.StddevPop: function("this", _called("stddev_pop")),
    exp.StddevSamp: function("this", _called("stddev_samp")),
    exp.Sum: function("this", _finite(_sum)),
    exp.Variance: function("this", _called("var_samp")),
    exp.VariancePop: function("this", _called("var_pop")),
    # Arithmetic and functions.
    exp.Cbrt: function("this", _called("cbrt")),
    exp.Abs: function("this"),
    exp.Acos: function("this", _called("acos")),
    exp.Add: function("this expression", _arithmetic(_added)),
    exp.Asin: function("this", _called("asin")),
    exp.Atan: function("this", _called("atan")),
    exp.Atan2: function("this expression", _called("atan2")),
    exp.BitwiseAnd: function("this expression"),
    exp.BitwiseNot: function("this"),
    exp.BitwiseOr: function("this expression"),
    exp.BitwiseXor: function("this expression", _called("xor")),
    exp.Ceil: function("this", _rounded("ceil")),
    exp.Cos: function("this", _called("cos")),
    exp.Cosh: function("this", _finite(_called("cosh"))),
    exp.Div: function("this expression typed safe", _arithmetic(_called("bq_quotient"))),
    exp.Exp: function("this", _finite(_called("exp"))),
    exp.Floor: function("this", _rounded("floor")),
    exp.HexString: function(
        "this is_integer",
        lambda node: macro("bq_cast_string_int64", exp.Literal.string(f"0x{node.this}")),
    ),
    exp.IntDiv: function("this expression", _called("bq_div")),
    exp.IsInf: function("this", _called("isinf")),
    exp.IsNan: function("this", _called("isnan")),
    exp.Ln: function("this", _called("ln")),
    exp.Log: function("this expression", _log),
    exp.Mod: function("this expression", _called("bq_mod")),
    exp.Mul: function("this expression", _arithmetic(_product)),
    exp.Pow: function("this expression", _finite(_called("bq_pow"))),
    exp.Rand: function("", lambda _: macro("random")),
    exp.Round: function("this decimals", _rounded("round")),
    exp.SafeDivide: function("this expression", _finite(_called("bq_safe_divide"))),
    exp.Sign: function("this", _called("bq_sign")),
    exp.Sin: function("this", _called("sin")),
    exp.Sinh: function("this", _finite(_called("sinh"))),
    exp.Sqrt: function("this", _called("sqrt")),
    exp.Sub: function("this expression", _arithmetic(_added)),
    exp.Tan: function("this", _called("tan")),
    exp.Tanh: function("this", _called("tanh")),
    exp.Trunc: function("this decimals", _rounded("trunc")),
}
