"""Comparisons, orders and extremes of FLOAT64, in which NaN is as BigQuery has it.

To BigQuery, NaN equals nothing, is the first of all numbers in an order, and is the MIN and the MAX
wherever it occurs; to DuckDB it equals itself and is the largest number. Where no side can be NaN,
nothing is changed.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.functions import Function, function, macro
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import FLOAT64, Type

_BINARY = "this expression"
_CONSTANTS = (exp.Literal, exp.Null)


def may_be_nan(node: Any) -> bool:
    """Whether a value that was translated may be NaN."""
    if type_of(node) != FLOAT64:
        return False
    inner = node
    while isinstance(inner, exp.Cast | exp.Paren | exp.Neg):
        inner = inner.this
    return not isinstance(inner, _CONSTANTS)


def _compared(node: Any) -> exp.Expr:
    left, right = may_be_nan(node.this), may_be_nan(node.expression)
    name = {exp.GT: "bq_gt", exp.GTE: "bq_gte", exp.LT: "bq_lt", exp.LTE: "bq_lte"}.get(type(node))
    if name is None:
        return _equated(node) if left and right else node
    # The side that DuckDB would take for the larger one.
    matters = left if isinstance(node, exp.GT | exp.GTE) else right
    return macro(name, node.this, node.expression) if matters else node


def _equated(node: Any) -> exp.Expr:
    both = exp.Paren(
        this=exp.And(this=_is_nan(node.this.copy()), expression=_is_nan(node.expression.copy()))
    )
    if isinstance(node, exp.EQ):
        # The equality stays a condition by itself, for joins.
        return exp.Paren(this=exp.And(this=node.copy(), expression=exp.Not(this=both)))
    return exp.Paren(this=exp.Or(this=node.copy(), expression=both))


def _is_nan(node: exp.Expr) -> exp.Expr:
    return macro("isnan", node)


def _between(node: exp.Between) -> exp.Expr:
    value, low, high = node.this, node.args["low"], node.args["high"]
    if not any(map(may_be_nan, (value, low, high))):
        return node
    return macro("bq_between", value, low, high)


def _in(node: exp.In) -> exp.Expr:
    unnested = node.args.get("unnest")
    if type_of(node.this) != FLOAT64 or not may_be_nan(node.this):
        return _in_array(node) if unnested else node
    if node.args.get("query") or unnested:
        raise unsupported("IN with FLOAT64 values that are not listed")
    if not any(map(may_be_nan, node.expressions)):
        return node
    equal = [
        _equated_pair(node.this.copy(), one.copy())
        if may_be_nan(one)
        else exp.EQ(this=node.this.copy(), expression=one.copy())
        for one in node.expressions
    ]
    return exp.Paren(this=exp.or_(*equal))


def _equated_pair(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return _equated(exp.EQ(this=left, expression=right))


def _in_array(node: exp.In) -> exp.Expr:
    """``x IN UNNEST(array)``: NULL if the array has a NULL and not the value, as with a list."""
    array = node.args["unnest"].expressions[0]
    return macro("bq_in_array", node.this, array)


def _nullif(node: exp.Nullif) -> exp.Expr:
    if not (may_be_nan(node.this) and may_be_nan(node.expression)):
        return node
    equal = _equated_pair(node.this.copy(), node.expression.copy())
    return exp.Case(ifs=[exp.If(this=equal, true=exp.Null())], default=node.this.copy())


def _case(node: exp.Case) -> exp.Expr:
    conditions = [one.this for one in node.args["ifs"]]
    if node.this is None or not (may_be_nan(node.this) and any(map(may_be_nan, conditions))):
        return node
    changed = node.copy()
    value = changed.this
    changed.set("this", None)
    for one in changed.args["ifs"]:
        one.set("this", _equated_pair(value.copy(), one.this.copy()))
    return changed


def _minimum(node: exp.Min) -> exp.Expr:
    """MIN of FLOAT64 is minus the MAX of the negated; where a window is in between, see there."""
    if type_of(_bare(node.this)) != FLOAT64:
        return node
    negated = exp.Max(this=_negated(node.this))
    if isinstance(node.parent, exp.Window | exp.Filter):
        negated.meta["negated"] = True
        return negated
    return exp.Paren(this=exp.Neg(this=negated))


def _bare(node: Any) -> Any:
    return node.expressions[0] if isinstance(node, exp.Distinct) else node


def _negated(node: exp.Expr) -> exp.Expr:
    negated = exp.Neg(this=exp.Paren(this=_bare(node).copy()))
    return exp.Distinct(expressions=[negated]) if isinstance(node, exp.Distinct) else negated


def _window(node: exp.Window | exp.Filter) -> exp.Expr:
    if node.this.meta.get("negated"):
        inner = node.copy()
        return exp.Paren(this=exp.Neg(this=inner))
    return node


def _least(node: exp.Least) -> exp.Expr:
    if type_of(node) != FLOAT64:
        return _null_with_null(node)
    values = [exp.Neg(this=exp.Paren(this=one.copy())) for one in (node.this, *node.expressions)]
    greatest = _null_with_null(exp.Greatest(this=values[0], expressions=values[1:]))
    return exp.Paren(this=exp.Neg(this=greatest))


def _null_with_null(node: exp.Greatest | exp.Least) -> exp.Expr:
    """NULL if an argument is: DuckDB passes over NULLs."""
    values = [node.this, *node.expressions]
    nulls = [exp.Is(this=one.copy(), expression=exp.Null()) for one in values]
    absent = exp.If(this=exp.or_(*nulls), true=exp.Null())
    return exp.Paren(this=exp.Case(ifs=[absent], default=node.copy()))


def _order(node: exp.Order) -> exp.Expr:
    """Puts NaN before all other numbers: a key of its own before that of the number."""
    keys: list[exp.Expr] = []
    for ordered in node.expressions:
        value = ordered.this
        if type_of(value) == FLOAT64 and may_be_nan(value):
            if isinstance(value, exp.Literal):
                raise unsupported("ordering by a FLOAT64 column of SELECT DISTINCT")
            first = ordered.copy()
            first.set("this", _is_nan(value.copy()))
            first.set("desc", not ordered.args.get("desc"))
            keys.append(first)
        keys.append(ordered.copy())
    changed = node.copy()
    changed.set("expressions", keys)
    return changed


def no_nan(value: exp.Expr, kind: Type | None) -> exp.Expr:
    """A value for a function that orders it, and must not be NaN there."""
    return macro("bq_no_nan", value) if kind == FLOAT64 else value


FLOAT_COMPARISONS: dict[type[exp.Expr], Function] = {
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), function(_BINARY, _compared)
    ),
    exp.Between: function("this low high symmetric", _between),
    exp.In: function("this expressions query unnest", _in),
    exp.Nullif: function(_BINARY, _nullif),
    exp.Case: function("this ifs default", _case),
    exp.Min: function("this", _minimum),
    exp.Greatest: function("this expressions ignore_nulls", _null_with_null),
    exp.Least: function("this expressions ignore_nulls", _least),
    exp.Order: function("this expressions", _order),
    exp.Filter: function(_BINARY, _window),
    exp.Window: function("this partition_by order spec over alias", _window),
}
