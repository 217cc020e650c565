"""BigQuery's arithmetic and functions of numbers, written for DuckDB."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from bigquery_emulator.sql.functions import Builder, Function, function, macro, pair, plain


def _of_floats(name: str) -> Builder:
    """A function that is FLOAT64 of INT64 and FLOAT64 arguments."""

    def build(node: exp.Expr) -> exp.Expr:
        args = [arg for arg in (node.this, node.args.get("expression")) if arg is not None]
        return macro(name, *[_each(arg, lambda one: macro("bq_float", one)) for arg in args])

    return build


def _each(arg: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Changes what is aggregated, inside a DISTINCT too."""
    if isinstance(arg, exp.Distinct):
        arg.set("expressions", [change(one) for one in arg.expressions])
        return arg
    return change(arg)


def _finite(build: Builder) -> Builder:
    """A function whose FLOAT64 result must not be infinite."""

    def built(node: exp.Expr) -> exp.Expr:
        # A window's function must stay where it is.
        windowed = isinstance(node.parent, exp.Window | exp.Filter)
        return build(node) if windowed else macro("bq_finite", build(node))

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
        return macro("bq_finite", build(node))

    return built


def _divide(node: exp.Div) -> exp.Expr:
    return macro("bq_quotient", _float(node.this), _float(node.expression))


def _float(node: exp.Expr) -> exp.Expr:
    """A value as FLOAT64; a quotient is one already, and is not repeated by another macro."""
    inner = node.unnest()
    if isinstance(inner, exp.Anonymous) and inner.this == "bq_quotient":
        return node
    return macro("bq_float", node)


def _itself(node: exp.Expr) -> exp.Expr:
    return node.copy()


def _round(node: exp.Round) -> exp.Expr:
    decimals = node.args.get("decimals")
    return macro("bq_round_to", node.this, decimals) if decimals else macro("bq_round", node.this)


NUMBERS: dict[type[exp.Expr], Function] = {
    # Aggregates.
    exp.Avg: function("this", _finite(_of_floats("avg"))),
    exp.Corr: function("this expression", _of_floats("corr")),
    exp.PercentileCont: function(
        "this expression",
        lambda node: macro("quantile_cont", macro("bq_float", node.this), node.expression),
    ),
    exp.Stddev: function("this", _of_floats("stddev_samp")),
    exp.StddevPop: function("this", _of_floats("stddev_pop")),
    exp.StddevSamp: function("this", _of_floats("stddev_samp")),
    exp.Sum: function("this", _finite(_itself)),
    exp.Variance: function("this", _of_floats("var_samp")),
    exp.VariancePop: function("this", _of_floats("var_pop")),
    # Arithmetic and functions.
    exp.Abs: function("this"),
    exp.Add: function("this expression", _arithmetic(_itself)),
    exp.Ceil: function("this", plain("bq_ceil")),
    exp.Div: function("this expression typed safe", _arithmetic(_divide)),
    exp.Exp: function("this", _finite(_of_floats("exp"))),
    exp.Floor: function("this", plain("bq_floor")),
    exp.IntDiv: function("this expression", pair("bq_div")),
    exp.IsInf: function("this", _of_floats("isinf")),
    exp.IsNan: function("this", _of_floats("isnan")),
    exp.Ln: function("this", _of_floats("ln")),
    exp.Mod: function("this expression", pair("bq_mod")),
    exp.Mul: function("this expression", _arithmetic(_itself)),
    exp.Pow: function("this expression", _finite(_of_floats("pow"))),
    exp.Round: function("this decimals", _round),
    exp.SafeDivide: function("this expression", _finite(pair("bq_safe_divide"))),
    exp.Sqrt: function("this", _of_floats("sqrt")),
    exp.Sub: function("this expression", _arithmetic(pair("bq_minus"))),
    exp.Trunc: function("this", plain("bq_trunc")),
}
