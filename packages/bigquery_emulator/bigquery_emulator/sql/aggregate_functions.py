"""BigQuery's aggregates, written for DuckDB: with LIMIT, HAVING MAX and IGNORE NULLS."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.float_comparisons import no_nan
from bigquery_emulator.sql.functions import Function, function, literal, macro, plain
from bigquery_emulator.sql.scopes import type_of

AGGREGATE_MACROS = """
CREATE OR REPLACE MACRO bq_top(h, n) AS list_transform(
    list_slice(list_reverse_sort(list_transform(map_entries(h),
        lambda e: {'count': CAST(e.value AS BIGINT), 'value': e.key})), 1, n),
    lambda e: {'value': e.value, 'count': e.count});
"""


def _approx_quantiles(node: exp.ApproxQuantiles) -> exp.Expr:
    # BigQuery's are approximate; these are exact, of the values that occur.
    text = literal(node.expression)
    if text is None or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise unsupported("APPROX_QUANTILES with this number")
    if isinstance(node.this, exp.Distinct):
        raise unsupported("APPROX_QUANTILES of DISTINCT values")
    count = int(text)
    points = [exp.Literal.number(repr(i / count)) for i in range(count + 1)]
    return macro(
        "quantile_disc", no_nan(node.this, type_of(node.this)), exp.Array(expressions=points)
    )


def _top_count(node: exp.ApproxTopK) -> exp.Expr:
    number = literal(node.expression)
    if number is None or not number.isdigit():
        raise unsupported("APPROX_TOP_COUNT with a computed number")
    if isinstance(node.parent, exp.Window):
        raise unsupported("APPROX_TOP_COUNT as a window function")
    value = macro("bq_no_null_counted", node.this.copy())
    return macro("bq_top", macro("histogram", value), exp.Literal.number(number))


def _parts(node: Any) -> tuple[Any, Any, Any]:
    """An aggregate's argument, its ORDER BY and its LIMIT, each None if it has none."""
    limit = None
    if isinstance(node, exp.Limit):
        limit, node = node.expression, node.this
    order = node if isinstance(node, exp.Order) else None
    return (order.this if order is not None else node), order, limit


def _array_agg(node: exp.ArrayAgg) -> exp.Expr:
    value, order, limit = _parts(node.this)
    if limit is not None and isinstance(node.parent, exp.Window):
        raise unsupported("LIMIT within a window function")
    call = macro("array_agg", order if order is not None else value)
    if limit is None:
        return call
    if isinstance(node.parent, exp.IgnoreNulls):
        call.meta["limit"] = limit  # which goes around the filter
        return call
    return _limited(call, limit)


def _limited(call: exp.Expr, limit: exp.Expr) -> exp.Expr:
    return macro("list_slice", call, exp.Literal.number(1), limit.copy())


def _present(call: exp.Expr, value: Any) -> exp.Expr:
    while isinstance(value, exp.Order | exp.Distinct):
        value = value.this or value.expressions[0]
    present = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    return exp.Filter(this=call, expression=exp.Where(this=present))


def _ignore_nulls(node: exp.IgnoreNulls) -> exp.Expr:
    aggregate = node.this
    if isinstance(aggregate, exp.FirstValue | exp.LastValue | exp.NthValue):
        return node
    if not isinstance(aggregate, exp.Anonymous) or aggregate.this != "array_agg":
        raise unsupported("IGNORE NULLS of this function")
    filtered = _present(aggregate, aggregate.expressions[0])
    limit = aggregate.meta.get("limit")
    return _limited(filtered, limit) if limit is not None else filtered


def _respect_nulls(node: exp.RespectNulls) -> exp.Expr:
    kept = node.this
    listed = isinstance(kept, exp.Anonymous) and kept.this == "array_agg"
    if not listed and not isinstance(kept, _RESPECTING):
        raise unsupported("RESPECT NULLS of this function")
    copied: exp.Expr = kept.copy()
    return copied


_RESPECTING = (exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead)


def _string_agg(node: exp.GroupConcat) -> exp.Expr:
    separator = node.args.get("separator") or exp.Literal.string(",")
    value, order, limit = _parts(node.this)
    if limit is not None:
        if isinstance(node.parent, exp.Window):
            raise unsupported("LIMIT within a window function")
        call = macro("array_agg", order if order is not None else value)
        return macro("array_to_string", _limited(_present(call, value), limit), separator)
    call = macro("string_agg", value, separator)
    if order is None:
        return call
    # DuckDB wants the ORDER BY after the separator.
    separator.replace(exp.Order(this=separator.copy(), expressions=order.expressions))
    return call


def _any_value(node: exp.AnyValue) -> exp.Expr:
    if not isinstance(node.this, exp.HavingMax):
        return node
    having = node.this
    name = "arg_max_null" if having.args.get("max") else "arg_min_null"
    key = having.expression
    return macro(name, having.this, no_nan(key, type_of(key)))


def _by(name: str) -> Any:
    return lambda node: macro(name, node.this, no_nan(node.expression, type_of(node.expression)))


def _array_concat_agg(node: exp.ArrayConcatAgg) -> exp.Expr:
    value, order, limit = _parts(node.this)
    call = macro("array_agg", order if order is not None else value)
    filtered = _present(call, value)
    return macro("flatten", _limited(filtered, limit) if limit is not None else filtered)


def _count(node: exp.Count) -> exp.Expr:
    if isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
        raise unsupported("COUNT(DISTINCT) of several expressions")
    return node


AGGREGATES: dict[type[exp.Expr], Function] = {
    exp.AnyValue: function("this", _any_value),
    exp.ApproxDistinct: function(
        "this", lambda node: exp.Count(this=exp.Distinct(expressions=[node.this]))
    ),
    exp.ApproxQuantiles: function("this expression", _approx_quantiles),
    exp.ApproxTopK: function("this expression", _top_count),
    exp.ArgMax: function("this expression", _by("arg_max_null")),
    exp.ArgMin: function("this expression", _by("arg_min_null")),
    exp.ArrayAgg: function("this", _array_agg),
    exp.ArrayConcatAgg: function("this", _array_concat_agg),
    exp.Count: function("this big_int", _count),
    exp.CountIf: function("this"),
    exp.CumeDist: function(""),
    exp.DenseRank: function(""),
    exp.FirstValue: function("this"),
    exp.GroupConcat: function("this separator", _string_agg),
    exp.Grouping: function("expressions"),
    exp.HavingMax: function("this expression max"),
    exp.IgnoreNulls: function("this", _ignore_nulls),
    exp.Lag: function("this offset default"),
    exp.LastValue: function("this"),
    exp.Lead: function("this offset default"),
    exp.LogicalAnd: function("this", plain("bool_and")),
    exp.LogicalOr: function("this", plain("bool_or")),
    exp.Max: function("this"),
    exp.NthValue: function("this offset"),
    exp.Ntile: function("this"),
    exp.PercentRank: function(""),
    exp.Rank: function(""),
    exp.RespectNulls: function("this", _respect_nulls),
    exp.RowNumber: function(""),
}
