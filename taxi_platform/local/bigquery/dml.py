"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE: checked, written for DuckDB, run and counted."""
# ruff: noqa: S608 - SQL is put together from what sql_translation.py wrote

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from taxi_platform.local.bigquery.catalog import Table
from taxi_platform.local.bigquery.column_types import Field, field_named, standard_name
from taxi_platform.local.bigquery.errors import invalid_query, raise_for_duckdb, unsupported
from taxi_platform.local.bigquery.macros import assignable
from taxi_platform.local.bigquery.sql_functions import macro
from taxi_platform.local.bigquery.storage import quoted

if TYPE_CHECKING:
    from taxi_platform.local.bigquery.query import Translation

_BATCH = 10_000
_MERGE_TWICE = "MERGE INTO command cannot affect the same target row"


@dataclass(frozen=True)
class Change:
    """A statement that changes one table, written for DuckDB.

    Attributes:
        kind: the API's statementType.
        table: the table that is changed.
        sql: the statement.
        check: a SELECT that finds a row if the statement must be refused.
        refusal: what is then said.
    """

    kind: str
    table: Table
    sql: str
    check: str | None = None
    refusal: str = ""
    columns: list[Field] = field(default_factory=list)

    def run(self, translation: Translation) -> Counter[str]:
        """Runs the statement and counts the rows by what happened to them.

        Raises:
            ApiError: BigQuery would refuse it.
        """
        if self.check and translation.execute(self.check).fetchone():
            raise invalid_query(self.refusal)
        try:
            done = translation.cursor.execute(self.sql, translation.bound)
            if self.kind == "MERGE":
                return _counted_actions(done)
            row = done.fetchone()
        except duckdb.ConstraintException as error:
            column = str(error).rsplit(".", 1)[-1].strip()
            raise invalid_query(f"Required field {column} cannot be null") from error
        except duckdb.Error as error:
            if _MERGE_TWICE in str(error):
                raise invalid_query(
                    "UPDATE/MERGE must match at most one source row for each target row"
                ) from error
            raise_for_duckdb(error)
        action = {"TRUNCATE_TABLE": "DELETE"}.get(self.kind, self.kind)
        return Counter({action: int(row[0]) if row else 0})


def _counted_actions(done: duckdb.DuckDBPyConnection) -> Counter[str]:
    counts: Counter[str] = Counter()
    while rows := done.fetchmany(_BATCH):
        counts.update(str(row[0]) for row in rows)
    return counts


def change_of(translation: Translation) -> Change:
    """The change that a statement asks for.

    Raises:
        ApiError: it is wrong, or not supported.
    """
    statement: Any = translation.statement
    if isinstance(statement, exp.Insert):
        return _insert(translation, statement)
    if isinstance(statement, exp.Update):
        return _update(translation, statement)
    if isinstance(statement, exp.Merge):
        return _merge(translation, statement)
    if isinstance(statement, exp.Delete):
        return _delete(translation, statement)
    if len(statement.expressions) != 1:
        raise unsupported("TRUNCATE of several tables")
    table = translation.tables.table_of(statement.expressions[0])
    return Change("TRUNCATE_TABLE", table, f"DELETE FROM {table.relation}")


def _insert(translation: Translation, statement: exp.Insert) -> Change:
    named: Any = statement.this
    columns: list[Field]
    if isinstance(named, exp.Schema):
        table = translation.tables.table_of(named.this)
        columns = [_column(table, one.name) for one in named.expressions]
    else:
        table = translation.tables.table_of(named)
        columns = table.fields
    rows: Any = statement.expression
    if isinstance(rows, exp.Values):
        for row in rows.expressions:
            _check_count(len(row.expressions), columns)
            for value, column in zip(list(row.expressions), columns, strict=True):
                _assign(column, value)
        sql = translation.sql(rows.copy())
    else:
        sql = translation.sql(rows.copy())
        _check_assignable(translation, sql, columns)
    names = ", ".join(quoted(column["name"]) for column in columns)
    return Change("INSERT", table, f"INSERT INTO {table.relation} ({names}) {sql}")


def _check_count(given: int, columns: list[Field]) -> None:
    if given != len(columns):
        raise invalid_query(
            f"Inserted row has wrong column count; Has {given}, expected {len(columns)}"
        )


def _check_assignable(translation: Translation, sql: str, columns: list[Field]) -> None:
    described = translation.execute(f"DESCRIBE {sql}").fetchall()
    _check_count(len(described), columns)
    for position, (row, column) in enumerate(zip(described, columns, strict=True), start=1):
        if column["mode"] != "REPEATED" and not assignable(column["type"], str(row[1])):
            raise invalid_query(
                f"Query column {position} has type {row[1]} which cannot be inserted into column "
                f"{column['name']}, which has type {standard_name(column)}"
            )


def _update(translation: Translation, statement: exp.Update) -> Change:
    where = statement.args.get("where")
    if where is None:
        raise invalid_query("UPDATE must have a WHERE clause")
    table = _resolved_target(translation, statement.this)
    _check_assignments(table, statement.expressions)
    translated = translation.sql(statement.copy())
    from_ = statement.args.get("from_")
    if from_ is None:
        return Change("UPDATE", table, translated)
    alias = quoted(statement.this.alias)
    check = (
        f"SELECT 1 FROM {table.relation} AS {alias}, {translation.sql(from_.this.copy())} "
        f"WHERE {translation.sql(where.this.copy())} "
        f"GROUP BY {alias}.rowid HAVING count(*) > 1 LIMIT 1"
    )
    refusal = "UPDATE/MERGE must match at most one source row for each target row"
    return Change("UPDATE", table, translated, check, refusal)


def _delete(translation: Translation, statement: exp.Delete) -> Change:
    if statement.args.get("where") is None:
        raise invalid_query("DELETE must have a WHERE clause")
    if not statement.this:
        # "DELETE t WHERE", without FROM.
        statement.set("this", statement.args["tables"][0])
        statement.set("tables", None)
    table = _resolved_target(translation, statement.this)
    return Change("DELETE", table, translation.sql(statement.copy()))


def _merge(translation: Translation, statement: exp.Merge) -> Change:
    table = _resolved_target(translation, statement.this)
    source = statement.args["using"].alias_or_name
    for when in statement.args["whens"].expressions:
        action: Any = when.args["then"]
        if isinstance(action, exp.Update):
            _check_assignments(table, action.expressions)
        elif isinstance(action, exp.Insert):
            _complete_insert(table, action, source)
    sql = translation.sql(statement.copy())
    return Change("MERGE", table, f"{sql} RETURNING merge_action")


def _complete_insert(table: Table, action: exp.Insert, source: str) -> None:
    """Writes out INSERT ROW, and checks what an INSERT of a MERGE assigns."""
    if isinstance(action.this, exp.Var) and action.this.name.upper() == "ROW":
        names = [column["name"] for column in table.fields]
        action.set("this", exp.Tuple(expressions=[exp.column(n, quoted=True) for n in names]))
        values = [exp.column(name, table=source, quoted=True) for name in names]
        action.set("expression", exp.Tuple(expressions=values))
    named, values = action.this, action.expression
    if not isinstance(named, exp.Tuple) or not isinstance(values, exp.Tuple):
        raise unsupported("INSERT without columns in a MERGE")
    columns = [_column(table, one.name) for one in named.expressions]
    _check_count(len(values.expressions), columns)
    for value, column in zip(list(values.expressions), columns, strict=True):
        _assign(column, value)


def _resolved_target(translation: Translation, node: exp.Table) -> Table:
    """Puts DuckDB's table in the place of the one that is changed."""
    table = translation.tables.table_of(node)
    new = table.node()
    alias = node.alias or node.name
    new.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    new.meta["resolved"] = True
    node.replace(new)
    return table


def _check_assignments(table: Table, assignments: list[exp.Expr]) -> None:
    for assignment in assignments:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            raise unsupported("this kind of assignment")
        target = assignment.this
        if target.db:
            raise unsupported("assignments to fields of a STRUCT")
        column = _column(table, target.name)
        # DuckDB wants the bare name.
        target.replace(exp.column(column["name"], quoted=True))
        _assign(column, assignment.expression)


def _column(table: Table, name: str) -> Field:
    column = field_named(table.fields, name)
    if column is None:
        raise invalid_query(f"Column {name} is not present in table {table.name}")
    return column


def _assign(column: Field, value: exp.Expr) -> None:
    """Guards a value that is assigned: DuckDB would cast what BigQuery refuses."""
    if isinstance(value, exp.Column) and value.name.upper() == "DEFAULT" and not value.table:
        value.replace(exp.Null())
        return
    if isinstance(value, exp.Null | exp.Var):
        return
    if isinstance(value, exp.Literal) and (value.is_string or column["type"] == "NUMERIC"):
        return  # constants take the column's type
    if column["mode"] == "REPEATED" or column["type"] == "RECORD":
        return
    # A holder keeps the place while the value moves into the call.
    holder = exp.Null()
    value.replace(holder)
    guard = macro(f"bq_assign_{column['type'].lower()}", value)
    guard.meta["trusted"] = True
    holder.replace(guard)
