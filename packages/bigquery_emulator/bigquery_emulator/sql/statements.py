"""Names and types of whole statements: queries, and the clauses of DML.

What a query's own clauses mean is in queries.py.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.sql.assignments import assign, assigned_query, column_named
from bigquery_emulator.sql.clauses import ClauseTyper
from bigquery_emulator.sql.queries import QueryTyper
from bigquery_emulator.sql.scopes import Scope, Source
from bigquery_emulator.sql.sources import FromClause
from bigquery_emulator.sql.tables import TableNames
from bigquery_emulator.sql.types import BOOL, NULL, Type, type_of_field
from bigquery_emulator.sql.variables import Variables
from bigquery_emulator.storage.catalog import Table


class StatementAnalysis:
    """Finds what the names in a statement mean, and its types.

    Args:
        tables: the tables of the catalog.
        variables: of the script that the statement is one of.
    """

    def __init__(self, tables: TableNames, variables: Variables) -> None:
        self._tables = tables
        self._root = Scope(variables=variables)
        self._queries = QueryTyper(tables)

    def analyze(self, statement: Any) -> None:
        """Analyses a statement, in its place.

        Raises:
            ApiError: BigQuery would refuse it, or it is not supported.
        """
        if isinstance(statement, exp.Query):
            self._queries.columns(statement, self._root)
        elif isinstance(statement, exp.Create) and isinstance(statement.expression, exp.Query):
            self._queries.columns(statement.expression, self._root)
        elif isinstance(statement, exp.Insert):
            self._insert(statement)
        elif isinstance(statement, exp.Update):
            self._update(statement)
        elif isinstance(statement, exp.Delete):
            self._delete(statement)
        elif isinstance(statement, exp.Merge):
            self._merge(statement)

    def _target(self, node: Any) -> tuple[Table, Source]:
        table = self._tables.table_of(node)
        if table.is_view:
            raise invalid_query(f"The view {table.name} cannot be changed by DML")
        name = node.alias or node.name
        return table, Source(name, [(one["name"], type_of_field(one)) for one in table.fields])

    def _typer(self, scope: Scope) -> ClauseTyper:
        return ClauseTyper(scope, self._queries.value_columns)

    def _condition(self, scope: Scope, clause: Any, name: str) -> None:
        kind: Type = self._typer(scope).type(clause)
        if kind not in (BOOL, NULL):
            raise invalid_query(f"{name} should return type BOOL, but returns type {kind}")

    def _insert(self, statement: exp.Insert) -> None:
        named: Any = statement.this
        table, _ = self._target(named.this if isinstance(named, exp.Schema) else named)
        columns = table.fields
        if isinstance(named, exp.Schema):
            columns = [column_named(table, one.name) for one in named.expressions]
        rows: Any = statement.expression
        if isinstance(rows, exp.Values):
            typer = self._typer(self._root)
            for row in rows.expressions:
                assign_row(typer, row, columns)
            return
        found = self._queries.columns(rows, self._root)
        assigned_query(rows, found, columns)

    def _update(self, statement: exp.Update) -> None:
        table, target = self._target(statement.this)
        scope = Scope(outer=self._root, sources=[target])
        if from_ := statement.args.get("from_"):
            clause = FromClause(self._queries, self._tables, scope)
            clause.add(from_.this)
            for join in from_.this.args.get("joins") or ():
                if not isinstance(from_.this, exp.Table):
                    clause.join(join)
        if where := statement.args.get("where"):
            self._condition(scope, where.this, "UPDATE WHERE clause")
        self._assignments(table, statement.expressions, scope)

    def _assignments(self, table: Table, assignments: list[Any], scope: Scope) -> None:
        typer = self._typer(scope)
        for one in assignments:
            if isinstance(one, exp.EQ) and isinstance(one.this, exp.Column) and not one.this.db:
                column = column_named(table, one.this.name)
                one.set("this", exp.column(column["name"], quoted=True))
                assign(typer, one.expression, column)

    def _delete(self, statement: exp.Delete) -> None:
        named = statement.this or statement.args["tables"][0]
        _, target = self._target(named)
        if where := statement.args.get("where"):
            self._condition(
                Scope(outer=self._root, sources=[target]), where.this, "DELETE WHERE clause"
            )

    def _merge(self, statement: exp.Merge) -> None:
        table, target = self._target(statement.this)
        source_scope = Scope(outer=self._root)
        source = FromClause(self._queries, self._tables, source_scope).add(statement.args["using"])
        both = Scope(outer=self._root, sources=[target, source])
        self._condition(both, statement.args["on"], "MERGE ON clause")
        for when in statement.args["whens"].expressions:
            scope = both
            if not when.args.get("matched"):
                scope = Scope(
                    outer=self._root, sources=[target if when.args.get("source") else source]
                )
            if when.args.get("condition") is not None:
                self._condition(scope, when.args["condition"], "MERGE WHEN condition")
            self._action(table, when.args["then"], source, scope)

    def _action(self, table: Table, action: Any, source: Source, scope: Scope) -> None:
        if isinstance(action, exp.Update):
            self._assignments(table, action.expressions, scope)
        elif isinstance(action, exp.Insert):
            _complete_insert(table, action, source)
            if isinstance(action.this, exp.Tuple) and isinstance(action.expression, exp.Tuple):
                columns = [column_named(table, one.name) for one in action.this.expressions]
                assign_row(self._typer(scope), action.expression, columns)


def assign_row(typer: ClauseTyper, row: exp.Expr, columns: list[dict[str, Any]]) -> None:
    """Types the values of a row and converts them to the columns' types.

    Raises:
        ApiError: there are more or fewer, or one cannot be assigned.
    """
    if len(row.expressions) != len(columns):
        raise invalid_query(
            f"Inserted row has wrong column count; Has {len(row.expressions)}, "
            f"expected {len(columns)}"
        )
    for value, column in zip(list(row.expressions), columns, strict=True):
        assign(typer, value, column)


def _complete_insert(table: Table, action: exp.Insert, source: Source) -> None:
    """Writes out INSERT ROW, and the columns of an INSERT without any."""
    names = [column["name"] for column in table.fields]
    whole = isinstance(action.this, exp.Var) and action.this.name.upper() == "ROW"
    if whole:
        values = [exp.column(name, table=source.name, quoted=True) for name in names]
        action.set("expression", exp.Tuple(expressions=values))
    if whole or action.this is None:
        action.set("this", exp.Tuple(expressions=[exp.column(one, quoted=True) for one in names]))
