"""The columns of queries, and what the clauses of a SELECT mean, with BigQuery's rules for names.

The tree is changed on the way: columns are written with their range variables, stars are written
out, every result column has a name, and values are converted. What is left is right for DuckDB but
for the functions, which translation.py writes. FROM clauses are in sources.py.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql import operators
from bigquery_emulator.sql.clauses import ClauseTyper, check_grouped, has_aggregate, pack_struct
from bigquery_emulator.sql.conversions import convert, is_constant
from bigquery_emulator.sql.projections import written_out
from bigquery_emulator.sql.recursion import count_rounds
from bigquery_emulator.sql.reordering import ordered_outside
from bigquery_emulator.sql.scopes import Scope, set_type, type_of
from bigquery_emulator.sql.sources import FromClause, TableSource
from bigquery_emulator.sql.types import BOOL, INT64, NULL, Type, supertype

Columns = list[tuple[str, Type]]
_COLUMNS = "query_columns"


def query_columns(node: exp.Expr) -> Columns:
    """The columns of a query that was analyzed."""
    columns: Columns = node.meta[_COLUMNS]
    return columns


class QueryTyper:
    """Analyses queries.

    Args:
        tables: finds the tables that FROM clauses name.
    """

    def __init__(self, tables: TableSource) -> None:
        self._tables = tables

    def columns(self, node: Any, outer: Scope) -> Columns:
        """Analyses a query and returns its columns, their names and types.

        Raises:
            ApiError: BigQuery would refuse it, or it is not supported.
        """
        if _COLUMNS in node.meta:
            known: Columns = node.meta[_COLUMNS]
            return known
        scope = Scope(outer=outer)
        if node.args.get("with_"):
            self._common_tables(node.args["with_"], scope)
        if isinstance(node, exp.Subquery):
            if not isinstance(node.this, exp.Query):
                raise unsupported("joins in parentheses")
            found = self.columns(node.this, scope)
        elif isinstance(node, exp.SetOperation):
            found = self._set_operation(node, scope)
        elif isinstance(node, exp.Select):
            found = self._select(node, scope)
        else:
            raise unsupported(f"{node.key.upper()} as a query")
        node = ordered_outside(node, found)
        node.meta[_COLUMNS] = found
        return found

    def value_columns(self, node: Any, outer: Scope) -> Columns:
        """The columns of a query that is used as a value: SELECT AS STRUCT makes one of all."""
        found = self.columns(node, outer)
        select = node.unnest() if isinstance(node, exp.Subquery) else node
        if isinstance(select, exp.Select) and select.args.get("kind"):
            found = pack_struct(select, found)
            node.meta[_COLUMNS] = select.meta[_COLUMNS] = found
        return found

    def _common_tables(self, with_: exp.With, scope: Scope) -> None:
        for cte in with_.expressions:
            if cte.args["alias"].columns:
                raise unsupported("WITH clauses with lists of columns")
            name, query = cte.alias.lower(), cte.this
            if name in scope.common:
                raise invalid_query(f"Duplicate alias {cte.alias} for WITH subquery")
            if with_.args.get("recursive") and isinstance(query, exp.SetOperation):
                scope.common[name] = self.columns(query.left, scope)
            scope.common[name] = self.columns(query, scope)
            if with_.args.get("recursive"):
                count_rounds(name, cte.this)

    def _set_operation(self, node: exp.SetOperation, scope: Scope) -> Columns:
        sides = [self.columns(node.left, scope), self.columns(node.right, scope)]
        name = node.key.upper()
        if len(sides[0]) != len(sides[1]):
            raise invalid_query(
                f"Queries in {name} have mismatched column count; query 1 has {len(sides[0])} "
                f"columns, query 2 has {len(sides[1])} columns"
            )
        found: Columns = []
        for at, ((column, left), (_, right)) in enumerate(zip(*sides, strict=True)):
            constants = [_constant_column(one, at) for one in (node.left, node.right)]
            common = supertype(zip((left, right), constants, strict=True))
            if common is None:
                raise invalid_query(
                    f"Column {at + 1} in {name} has incompatible types: {left}, {right}"
                )
            _convert_column(node.left, at, common)
            _convert_column(node.right, at, common)
            found.append((column, common))
        self._order_of_results(node, scope, found)
        return found

    def _order_of_results(self, node: Any, scope: Scope, columns: Columns) -> None:
        named = {name.lower(): kind for name, kind in columns}
        results = Scope(outer=scope, merged=named)
        typer = ClauseTyper(results, self.value_columns)
        for ordered in node.args["order"].expressions if node.args.get("order") else ():
            if isinstance(ordered.this, exp.Literal) and ordered.this.is_int:
                set_type(ordered.this, _numbered(columns, ordered.this, "ORDER BY")[1])
            else:
                typer.type(ordered.this)
            operators.orderable(ordered.this, "ORDER BY")
        _limits(node, typer)

    def _select(self, node: exp.Select, scope: Scope) -> Columns:
        FromClause(self, self._tables, scope).read(node)
        typer = ClauseTyper(scope, self.value_columns)
        if where := node.args.get("where"):
            _condition(typer, where, "WHERE")
        columns = written_out(node, typer)
        for window in node.args.get("windows") or ():
            typer.type(window)
        later = ClauseTyper(scope, self.value_columns, _aliases(node))
        self._group(node, later, columns)
        for clause in ("having", "qualify"):
            if node.args.get(clause):
                _condition(later, node.args[clause], clause.upper())
        self._order(node, later, columns)
        check_grouped(node, scope)
        return columns

    def _group(self, node: exp.Select, typer: ClauseTyper, columns: Columns) -> None:
        group: Any = node.args.get("group")
        if not group:
            return
        for one in list(group.expressions):
            if isinstance(one, exp.GroupingSets | exp.Rollup | exp.Cube):
                self._grouping_set(node, one, typer, columns)
                continue
            position = _position(one, typer, columns)
            if position is not None:
                number = exp.Literal.number(position + 1)
                one.replace(set_kind(number, columns[position][1]))
            else:
                typer.type(one)
        for kind in ("rollup", "cube", "grouping_sets"):
            for one in group.args.get(kind) or ():
                self._grouping_set(node, one, typer, columns)

    def _grouping_set(
        self, node: exp.Select, part: Any, typer: ClauseTyper, columns: Columns
    ) -> None:
        for one in list(part.expressions) if not isinstance(part, exp.Paren) else [part.this]:
            if isinstance(one, exp.Tuple | exp.Paren):
                self._grouping_set(node, one, typer, columns)
                continue
            position = _position(one, typer, columns)
            if position is not None:
                one.replace(node.expressions[position].unalias().copy())
            else:
                typer.type(one)

    def _order(self, node: exp.Select, typer: ClauseTyper, columns: Columns) -> None:
        order = node.args.get("order")
        by_name = node.args.get("distinct") and not node.args.get("kind")
        for ordered in list(order.expressions) if order else ():
            one = ordered.this
            position = _position(one, typer, columns)
            if position is None:
                typer.type(one)
            elif by_name:
                one.replace(set_kind(exp.Literal.number(position + 1), columns[position][1]))
            elif isinstance(one, exp.Column) and _is_cheap(node, position):
                one.replace(node.expressions[position].unalias().copy())
            elif isinstance(one, exp.Column):
                quoted = exp.column(columns[position][0], quoted=True)
                one.replace(set_kind(quoted, columns[position][1]))
                if columns[position][1].name == "FLOAT64" or node.args.get("kind"):
                    ordered.this.replace(node.expressions[position].unalias().copy())
            else:
                one.replace(node.expressions[position].unalias().copy())
            operators.orderable(ordered.this, "ORDER BY")
        _limits(node, typer)


def _is_cheap(node: exp.Select, position: int) -> bool:
    return isinstance(node.expressions[position].unalias(), exp.Column)


def set_kind(node: exp.Expr, kind: Type) -> exp.Expr:
    """The node, with a type."""
    set_type(node, kind)
    return node


def _aliases(node: exp.Select) -> dict[str, exp.Expr]:
    explicit = [one for one in node.expressions if not one.meta.get("unnamed")]
    return {one.alias.lower(): one.this for one in explicit}


def _position(one: exp.Expr, typer: ClauseTyper, columns: Columns) -> int | None:
    """Which result column a number or an alias in GROUP BY or ORDER BY stands for."""
    if isinstance(one, exp.Literal) and one.is_int:
        _numbered(columns, one, "GROUP BY" if isinstance(one.parent, exp.Group) else "ORDER BY")
        return int(one.this) - 1
    if isinstance(one, exp.Column) and not one.table and one.name.lower() in typer.aliases:
        names = [name.lower() for name, _ in columns]
        return names.index(one.name.lower())
    return None


def _numbered(columns: Columns, one: exp.Literal, clause: str) -> tuple[str, Type]:
    number = int(one.this)
    if not 1 <= number <= len(columns):
        raise invalid_query(
            f"{clause} is out of range: {number}; must be between 1 and {len(columns)}"
        )
    return columns[number - 1]


def _condition(typer: ClauseTyper, clause: Any, name: str) -> None:
    kind = typer.type(clause.this)
    if kind not in (BOOL, NULL):
        raise invalid_query(f"{name} clause should return type BOOL, but returns type {kind}")
    if name == "WHERE" and has_aggregate(clause.this):
        raise invalid_query("Aggregate function not allowed in WHERE clause")
    windows = clause.find_all(exp.Window) if name in ("WHERE", "HAVING") else ()
    if any(one.find_ancestor(exp.Query) is clause.parent for one in windows):
        raise invalid_query(f"Analytic function not allowed in {name} clause")


def _limits(node: Any, typer: ClauseTyper) -> None:
    for clause in ("limit", "offset"):
        part = node.args.get(clause)
        if part is None:
            continue
        kind = typer.type(part.expression)
        if kind != INT64:
            raise invalid_query(f"{clause.upper()} expects an INT64 value, not {kind}")
        if isinstance(part.expression, exp.Neg):
            raise invalid_query(
                f'Syntax error: {clause.upper()} expects an integer literal or parameter, not "-"'
            )


def _constant_column(query: Any, at: int) -> bool:
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    if not isinstance(inner, exp.Select):
        return False
    return is_constant(inner.expressions[at].unalias())


def _convert_column(query: Any, at: int, wanted: Type) -> None:
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(inner, exp.SetOperation):
        _convert_column(inner.left, at, wanted)
        _convert_column(inner.right, at, wanted)
    elif isinstance(inner, exp.Select):
        value = inner.expressions[at].this
        changed = type_of(value) not in (wanted, NULL)
        if changed and (inner.args.get("distinct") or inner.args.get("group")):
            _convert_grouped(inner, at, wanted)
        else:
            convert(value, wanted)


def _convert_grouped(select: exp.Select, at: int, wanted: Type) -> None:
    """Converts a column outside of a SELECT that groups by it."""
    inner = select.copy()
    names = [one.alias for one in inner.expressions]
    projections = []
    for position, name in enumerate(names):
        column = exp.column(name, table="_grouped", quoted=True)
        set_type(column, type_of(inner.expressions[position].this) or NULL)
        projections.append(exp.alias_(column, name, quoted=True))
    outer = exp.Select(expressions=projections)
    source = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("_grouped")))
    outer.set("from_", exp.From(this=source))
    convert(outer.expressions[at].this, wanted)
    select.replace(outer)
