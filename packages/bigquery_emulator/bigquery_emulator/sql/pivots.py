"""PIVOT: rows turned into columns, as a query with an aggregate for each."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.types import Type


def pivoted(node: Any, columns: list[tuple[str, Type]]) -> exp.Subquery:
    """A PIVOT written as a query of what it is applied to.

    Args:
        node: the table or subquery in FROM, with its PIVOT; it moves into the query.
        columns: the columns that it has.

    Raises:
        ApiError: it is an UNPIVOT, or of a shape that is not supported.
    """
    pivots = node.args["pivots"]
    pivot = pivots[0]
    if len(pivots) > 1 or pivot.args.get("unpivot") or len(pivot.args.get("fields") or ()) != 1:
        raise unsupported("UNPIVOT, and several PIVOTs")
    choice: Any = pivot.args["fields"][0]
    key = choice.this
    if not isinstance(choice, exp.In) or not isinstance(key, exp.Column):
        raise unsupported("PIVOT FOR other than a column")
    node.set("pivots", None)
    aggregates = list(pivot.expressions)
    used = {key.name.lower()}
    used |= {one.name.lower() for part in aggregates for one in part.find_all(exp.Column)}
    groups = [name for name, _ in columns if name.lower() not in used]
    if len(aggregates) > 1 and not all(isinstance(one, exp.Alias) for one in aggregates):
        raise invalid_query("PIVOT with several aggregates needs an alias for each")
    query = exp.select(*[exp.column(name, quoted=True) for name in groups])
    for value in choice.expressions:
        constant, label = _labelled(value)
        for aggregate in aggregates:
            call = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
            prefix = f"{aggregate.alias}_" if isinstance(aggregate, exp.Alias) else ""
            where = exp.EQ(this=key.copy(), expression=constant.copy())
            filtered = exp.Filter(this=call.copy(), expression=exp.Where(this=where))
            query = query.select(exp.alias_(filtered, prefix + label, quoted=True))
    alias = pivot.args.get("alias")
    query = query.from_(node.copy())
    if groups:
        query = query.group_by(*[exp.column(name, quoted=True) for name in groups])
    subquery = exp.Subquery(this=query)
    if alias is not None:
        subquery.set("alias", alias.copy())
    node.replace(subquery)
    return subquery


def _labelled(value: Any) -> tuple[exp.Expr, str]:
    """A value of the IN list, and the name that it gives to its column."""
    if isinstance(value, exp.PivotAlias | exp.Alias):
        alias = value.args["alias"]
        return value.this, str(alias.name if isinstance(alias, exp.Expr) else alias)
    if isinstance(value, exp.Literal):
        text = str(value.this)
        if value.is_string or text.isdigit():
            return value, text if value.is_string else f"_{text}"
    raise unsupported("PIVOT IN values without an alias, other than texts and whole numbers")
