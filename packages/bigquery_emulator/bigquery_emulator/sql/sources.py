"""FROM clauses: tables, subqueries, arrays and joins, and the columns that they bring."""

from __future__ import annotations

from typing import Any, Protocol

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql import operators
from bigquery_emulator.sql.clauses import ClauseTyper
from bigquery_emulator.sql.pivots import pivoted
from bigquery_emulator.sql.scopes import Scope, Source
from bigquery_emulator.sql.types import BOOL, INT64, NULL, Type, type_of_field
from bigquery_emulator.storage.column_types import Field


class Queries(Protocol):
    """Analyses subqueries."""

    def columns(self, node: Any, outer: Scope) -> list[tuple[str, Type]]:
        """The columns of a query."""

    def value_columns(self, node: Any, outer: Scope) -> list[tuple[str, Type]]:
        """The columns of a query that is used as a value."""


class TableSource(Protocol):
    """Finds the tables that FROM clauses name."""

    def resolve(self, node: exp.Table) -> tuple[exp.Expr, list[Field]]:
        """Puts DuckDB's table in the place of one that is named, and says its columns.

        A view's query comes as it was written; it has no columns yet.
        """


class FromClause:
    """Reads the FROM clause of one SELECT into its scope."""

    def __init__(self, queries: Queries, tables: TableSource, scope: Scope) -> None:
        self._queries = queries
        self._tables = tables
        self._scope = scope

    def read(self, select: Any) -> None:
        """Adds the sources of a SELECT, or of a statement that has the same clauses.

        Raises:
            ApiError: one does not exist, or is not supported.
        """
        from_ = select.args.get("from_")
        if from_ is not None:
            self.add(from_.this)
        for join in select.args.get("joins") or ():
            self.join(join)

    def add(self, node: Any) -> Source:
        """Adds one item."""
        if node.args.get("pivots"):
            return self.add(pivoted(node, self._pivot_columns(node)))
        if isinstance(node, exp.Table):
            source = self._table(node)
        elif isinstance(node, exp.Subquery):
            columns = self._queries.columns(node, self._around())
            source = Source(_alias(node, self._scope), columns)
        elif isinstance(node, exp.Unnest):
            source = self._unnest(node)
        else:
            raise unsupported(f"{node.key.upper()} in FROM")
        if self._scope.own_source(source.name) is not None:
            raise invalid_query(f"Duplicate table alias {source.name} in the same FROM clause")
        self._scope.sources.append(source)
        if isinstance(node, exp.Table):
            for join in node.args.get("joins") or ():
                self.join(join)
        return source

    def _pivot_columns(self, node: Any) -> list[tuple[str, Type]]:
        """The columns of what a PIVOT is applied to."""
        plain = node.copy()
        plain.set("pivots", None)
        select = exp.select("*").from_(plain)
        return self._queries.columns(select, self._around())

    def _around(self) -> Scope:
        """The scope of a subquery in FROM: it does not see the items beside it."""
        return Scope(outer=self._scope.outer, common=self._scope.common)

    def _table(self, node: exp.Table) -> Source:
        parts = [part.name for part in node.parts]
        if len(parts) > 1 and self._scope.source(parts[0]) is not None:
            return self._array_path(node, parts)
        if not node.db and (common := self._scope.common_table(node.name)) is not None:
            return Source(node.alias or node.name, common)
        alias = node.alias or node.name.rpartition(".")[2]
        new, fields = self._tables.resolve(node)
        if isinstance(new, exp.Subquery) and not new.meta.get("resolved"):
            return Source(alias, self._queries.columns(new, Scope()))
        return Source(alias, [(field["name"], type_of_field(field)) for field in fields])

    def _array_path(self, node: exp.Table, parts: list[str]) -> Source:
        """An array of an earlier item, ``FROM t, t.things``, as if in UNNEST."""
        if len(parts) > 3:
            raise unsupported("a path as long as this in FROM")
        column = exp.column(*reversed(parts))
        unnest = exp.Unnest(expressions=[column])
        alias = node.alias or parts[-1]
        unnest.set("alias", exp.TableAlias(columns=[exp.to_identifier(alias)]))
        node.replace(unnest)
        return self._unnest(unnest)

    def _unnest(self, node: Any) -> Source:
        if len(node.expressions) != 1:
            raise unsupported("UNNEST of several arrays")
        alias = node.args.get("alias")
        if isinstance(node.expressions[0], exp.Column) and not (alias and alias.columns):
            # SQLGlot reads "t.x" as UNNEST(t.x), where the name means the element in BigQuery.
            raise unsupported("an array in FROM without UNNEST and an alias")
        typer = ClauseTyper(self._scope, self._queries.value_columns)
        kind = typer.type(node.expressions[0])
        if kind.name not in ("ARRAY", "NULL"):
            raise invalid_query(
                f"Values referenced in UNNEST must be arrays. UNNEST contains {kind}"
            )
        node.set("explode_array", None)
        named = list(alias.columns) if alias else []
        name = named[0].name if named else (alias.name if alias and alias.this else "")
        name = name or f"_unnest_{len(self._scope.sources)}"
        offset = node.args.get("offset")
        columns: list[tuple[str, Type]] = []
        if offset:
            position = offset.name if isinstance(offset, exp.Identifier) else "offset"
            columns = [(position, INT64)]
            node.set("offset", exp.to_identifier(position, quoted=True))
        column = exp.to_identifier(name, quoted=True)
        node.set("alias", exp.TableAlias(this=column, columns=[column.copy()]))
        return Source(name, columns, value=kind.element or NULL)

    def join(self, join: exp.Join) -> None:
        """Adds what is joined, and reads its condition."""
        before = list(self._scope.sources)
        source = self.add(join.this)
        if join.args.get("using"):
            self._using(join, before, source)
        if join.args.get("on") is not None:
            typer = ClauseTyper(self._scope, self._queries.value_columns)
            kind = typer.type(join.args["on"])
            if kind not in (BOOL, NULL):
                raise invalid_query(
                    f"JOIN ON clause should return type BOOL, but returns type {kind}"
                )
        elif not join.args.get("using") and _needs_condition(join):
            raise invalid_query("Syntax error: JOIN must have an ON or USING clause")

    def _using(self, join: exp.Join, before: list[Source], source: Source) -> None:
        for identifier in join.args["using"]:
            name = identifier.name
            right = source.column(name)
            lefts = [kind for one in before if (kind := one.column(name)) is not None]
            if right is None or not lefts:
                side = "right" if right is None else "left"
                raise invalid_query(
                    f"Column {name} in USING clause not found on {side} side of join"
                )
            if len(lefts) > 1 and name.lower() not in self._scope.merged:
                raise invalid_query(f"Column {name} in USING clause is ambiguous")
            left = self._scope.merged.get(name.lower(), lefts[0])
            if left != right:
                if {left.name, right.name} <= {"INT64", "NUMERIC", "FLOAT64"}:
                    raise unsupported(f"USING with columns of {left} and {right}")
                raise invalid_query(
                    f"Column {name} in USING has incompatible types on either side of the join: "
                    f"{left}, {right}"
                )
            operators.check_comparable(left, "=")
            if left.name == "FLOAT64":
                raise unsupported("USING with columns of FLOAT64")
            self._scope.merged[name.lower()] = left


def _needs_condition(join: exp.Join) -> bool:
    if str(join.args.get("kind") or "").upper() == "CROSS" or isinstance(join.this, exp.Unnest):
        return False
    # A comma makes a Join without kind and side, as a bare JOIN does; INNER is written out.
    return bool(join.args.get("side")) or str(join.args.get("kind") or "").upper() == "INNER"


def _alias(node: exp.Subquery, scope: Scope) -> str:
    if node.alias:
        return str(node.alias)
    name = f"_query_{len(scope.sources)}"
    node.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
    return name
