"""ORDER BY of FLOAT64 where DuckDB takes result columns only: moved to a query around.

To put NaN in its place takes a second key (float_comparisons.py), which DuckDB does not allow in
the ORDER BY of SELECT DISTINCT and of set operations.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.types import FLOAT64, Type

_AROUND = "_ordered"


def ordered_outside(node: Any, columns: list[tuple[str, Type]]) -> Any:
    """The query, or one around it that does the ordering and takes its place.

    Args:
        node: a query whose clauses were analyzed.
        columns: its columns.
    """
    order = node.args.get("order") if isinstance(node, exp.Query) else None
    distinct = isinstance(node, exp.SetOperation) or node.args.get("distinct")
    if not order or not distinct or isinstance(node, exp.Subquery):
        return node
    names = [name.lower() for name, _ in columns]
    floats = any(type_of(one.this) == FLOAT64 for one in order.expressions)
    if not floats or len(set(names)) < len(names):
        return node
    outer = exp.Select(expressions=[_column(name, kind, named=True) for name, kind in columns])
    for clause in ("order", "limit", "offset"):
        outer.set(clause, node.args.get(clause))
        node.set(clause, None)
    for ordered in outer.args["order"].expressions:
        key = ordered.this
        if isinstance(key, exp.Literal) and key.is_int:
            key.replace(_column(*columns[int(key.this) - 1]))
        else:
            for column in [one for one in ordered.find_all(exp.Column) if not one.table]:
                position = names.index(column.name.lower())
                column.replace(_column(*columns[position]))
    node.replace(outer)
    alias = exp.TableAlias(this=exp.to_identifier(_AROUND, quoted=True))
    outer.set("from_", exp.From(this=exp.Subquery(this=node, alias=alias)))
    return outer


def _column(name: str, kind: Type, *, named: bool = False) -> exp.Expr:
    column: exp.Expr = exp.column(name, table=_AROUND, quoted=True)
    set_type(column, kind)
    return exp.alias_(column, name, quoted=True) if named else column
