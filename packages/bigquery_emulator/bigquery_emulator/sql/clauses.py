"""What holds for whole clauses: aliases in HAVING and ORDER BY, grouping, SELECT AS STRUCT."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.conversions import wrap
from bigquery_emulator.sql.expressions import ExpressionTyper, QueryTyper
from bigquery_emulator.sql.scopes import Scope, set_type, type_of
from bigquery_emulator.sql.types import NULL, Type

_WINDOW_ONLY = (
    *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile),
    *(exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue),
    *(exp.PercentileCont, exp.PercentileDisc),
)


class ClauseTyper(ExpressionTyper):
    """Types expressions in which aliases of the SELECT list have a meaning.

    Args:
        scope: the names in force.
        query_type: analyses a subquery.
        aliases: what they stand for, by lower-case name; they come before columns.
    """

    def __init__(
        self, scope: Scope, query_type: QueryTyper, aliases: dict[str, exp.Expr] | None = None
    ) -> None:
        super().__init__(scope, query_type)
        self.aliases = aliases or {}

    def _column(self, node: exp.Column) -> Type:
        meant = None if node.table else self.aliases.get(node.name.lower())
        if meant is None or _in_aggregate(node):
            return super()._column(node)
        new = exp.Paren(this=meant.copy())
        node.replace(new)
        return set_type(new, type_of(meant) or NULL)


def _in_aggregate(node: exp.Expr) -> bool:
    """Whether a column is an aggregate's argument, which is one of the FROM clause."""
    parent = node.parent
    while parent is not None and not isinstance(parent, exp.Query):
        if isinstance(parent, exp.AggFunc) and not isinstance(parent.parent, exp.Window):
            return True
        parent = parent.parent
    return False


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is an aggregate function that is not one of a window."""
    if not isinstance(node, exp.AggFunc) or isinstance(node, _WINDOW_ONLY):
        return False
    parent = node.parent
    while isinstance(parent, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        parent = parent.parent
    return not isinstance(parent, exp.Window)


def has_aggregate(node: exp.Expr) -> bool:
    """Whether an expression has an aggregate of its own SELECT in it."""
    if isinstance(node, exp.Query):
        return False
    return is_aggregate(node) or any(map(has_aggregate, node.iter_expressions()))


def check_grouped(select: exp.Select, scope: Scope) -> None:
    """Refuses columns that are neither grouped nor aggregated.

    Raises:
        ApiError: there is one; or a SELECT that groups has no such thing as a QUALIFY.
    """
    group: Any = select.args.get("group")
    having, order = select.args.get("having"), select.args.get("order")
    places: list[Any] = [*select.expressions, having, *(order.expressions if order else ())]
    grouped = bool(group) or any(has_aggregate(one) for one in places if one)
    if not grouped:
        if having:
            raise invalid_query("The HAVING clause requires GROUP BY or aggregation to be present")
        return
    if group and (group.args.get("all") or (not group.expressions and not _sets(group))):
        return
    keys = _keys(select, group) if group else set()
    own = {source.name for source in scope.sources}
    for one in places:
        if one is not None:
            _check_expression(
                one, keys, own, "ORDER BY" if isinstance(one, exp.Ordered) else "SELECT list"
            )


def _sets(group: exp.Group) -> bool:
    return any(group.args.get(kind) for kind in ("rollup", "cube", "grouping_sets"))


def _keys(select: exp.Select, group: exp.Group) -> set[str]:
    found = set()
    for one in group.expressions:
        if isinstance(one, exp.Literal) and one.is_int:
            found.add(select.expressions[int(one.this) - 1].unalias().sql())
        found.add(one.unnest().sql())
    for part in group.walk():
        if isinstance(
            part.parent, exp.Tuple | exp.Paren | exp.Rollup | exp.Cube | exp.GroupingSets
        ):
            found.add(part.sql())
    return found


def _check_expression(node: exp.Expr, keys: set[str], own: set[str], clause: str) -> None:
    if node.sql() in keys or is_aggregate(node) or isinstance(node, exp.Grouping | exp.Filter):
        return
    if isinstance(node, exp.Ordered) and isinstance(node.this, exp.Literal):
        return
    if isinstance(node, exp.Column):
        if node.table in own:
            raise invalid_query(
                f"{clause} expression references column {node.name} which is neither grouped nor "
                "aggregated"
            )
        return
    for child in node.iter_expressions():
        _check_expression(child, keys, own, clause)


def pack_struct(select: exp.Select, columns: list[tuple[str, Type]]) -> list[tuple[str, Type]]:
    """Makes one STRUCT of the columns of a SELECT AS STRUCT, or a value of SELECT AS VALUE."""
    if str(select.args["kind"]).upper() == "VALUE":
        select.set("kind", None)
        return columns
    if select.args.get("distinct"):
        raise unsupported("SELECT AS STRUCT DISTINCT")
    fields = tuple((name, kind) for name, kind in columns)
    pairs = [
        exp.PropertyEQ(this=exp.to_identifier(one.alias, quoted=True), expression=one.this.copy())
        for one in select.expressions
    ]
    struct = exp.Struct(expressions=pairs)
    kind = set_type(struct, Type("STRUCT", fields=fields))
    select.set("expressions", [exp.alias_(struct, "_struct", quoted=True)])
    select.set("kind", None)
    return [("_struct", kind)]


__all__ = ["ClauseTyper", "check_grouped", "has_aggregate", "is_aggregate", "pack_struct", "wrap"]
