"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE: checked, written for DuckDB, run and counted."""
# ruff: noqa: S608 - SQL is put together from what sql/translation.py wrote

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.duckdb_errors import raise_for_duckdb
from bigquery_emulator.sql.functions import macro
from bigquery_emulator.sql.macros import assignable
from bigquery_emulator.storage import segments
from bigquery_emulator.storage.catalog import Table
from bigquery_emulator.storage.column_types import Field, field_named, standard_name
from bigquery_emulator.storage.partition_sizes import partition_sizes
from bigquery_emulator.storage.quoting import quoted

_BATCH = 10_000
_MERGE_TWICE = "MERGE INTO command cannot affect the same target row"


@dataclass(frozen=True)
class Change:
    """A statement that changes one table, written for DuckDB.

    Attributes:
        kind: the API's statementType.
        sql: the statement.
        check: a SELECT that finds a row if the statement must be refused.
        refusal: what is then said.
    """

    kind: str
    sql: str
    check: str | None = None
    refusal: str = ""

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
        return Counter({self.kind: int(row[0]) if row else 0})


def _counted_actions(done: duckdb.DuckDBPyConnection) -> Counter[str]:
    counts: Counter[str] = Counter()
    while rows := done.fetchmany(_BATCH):
        counts.update(str(row[0]) for row in rows)
    return counts


def changed_rows(
    translation: Translation, table: Table, next_id: Callable[[], int]
) -> Counter[str]:
    """Changes a table and counts the rows by what happened to them.

    The change is made in a copy, which then takes the place of the table's segments.

    Args:
        translation: of the statement, which is used up.
        table: what `target_of` found.
        next_id: gives the numbers of segments.

    Raises:
        ApiError: BigQuery would refuse the statement, or it is not supported.
    """
    cursor = translation.cursor
    changed = table.changed_in(cursor)
    kind = kind_of(translation.statement)
    if kind == "TRUNCATE_TABLE":
        rows = sum(size.num_rows for size in partition_sizes(cursor, table))
        changed.drop(changed.segments)
        return Counter({"DELETE": rows})
    segment = changed.new(next_id)
    change = change_of(translation, table, segment.relation)
    translation.check_nans()
    if kind != "INSERT":
        cursor.execute(f"INSERT INTO {segment.relation} SELECT * FROM {table.relation}")
    counts = change.run(translation)
    segments.fill_arrays(cursor, segment.relation, table.fields)
    if not counts.total():
        cursor.execute(f"DROP TABLE {segment.relation}")
        return counts
    if kind != "INSERT":
        changed.drop(changed.segments)
    changed.add(segment)
    changed.merge_small(next_id)
    return counts


def kind_of(statement: exp.Expr) -> str:
    """The API's statementType of a statement that changes rows."""
    return {"truncatetable": "TRUNCATE_TABLE"}.get(statement.key, statement.key.upper())


def target_of(translation: Translation) -> Table:
    """The table that a statement changes.

    Raises:
        ApiError: there is none of that name.
    """
    statement: Any = translation.statement
    if isinstance(statement, exp.TruncateTable):
        if len(statement.expressions) != 1:
            raise unsupported("TRUNCATE of several tables")
        return _changeable(translation.tables.table_of(statement.expressions[0]))
    if isinstance(statement, exp.Delete) and not statement.this:
        # "DELETE t WHERE", without FROM.
        statement.set("this", statement.args["tables"][0])
        statement.set("tables", None)
    named = statement.this
    of = named.this if isinstance(named, exp.Schema) else named
    return _changeable(translation.tables.table_of(of))


def _changeable(table: Table) -> Table:
    if table.view_query is not None:
        raise invalid_query(f"{table.name} is not allowed for this operation because it is a VIEW")
    return table


def change_of(translation: Translation, table: Table, relation: str) -> Change:
    """The statement written for DuckDB.

    Args:
        translation: of the statement, which is used up.
        table: what `target_of` found.
        relation: the DuckDB table that the statement shall change in place of it.

    Raises:
        ApiError: the statement is wrong, or not supported.
    """
    statement: Any = translation.statement
    if isinstance(statement, exp.Insert):
        return _insert(translation, statement, table, relation)
    _put_target(statement.this, relation)
    if isinstance(statement, exp.Update):
        return _update(translation, statement, table, relation)
    if isinstance(statement, exp.Merge):
        return _merge(translation, statement, table)
    if statement.args.get("where") is None:
        raise invalid_query("DELETE must have a WHERE clause")
    return Change("DELETE", translation.sql(statement.copy()))


def _put_target(node: exp.Table, relation: str) -> None:
    """Puts DuckDB's table in the place of the one that is changed."""
    schema, _, name = relation.partition(".")
    new = exp.table_(name, db=schema, quoted=True)
    alias = node.alias or node.name
    new.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    new.meta["resolved"] = True
    node.replace(new)


def _insert(translation: Translation, statement: exp.Insert, table: Table, relation: str) -> Change:
    named: Any = statement.this
    columns = table.fields
    if isinstance(named, exp.Schema):
        columns = [_column(table, one.name) for one in named.expressions]
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
    return Change("INSERT", f"INSERT INTO {relation} ({names}) {sql}")


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


def _update(translation: Translation, statement: exp.Update, table: Table, relation: str) -> Change:
    where = statement.args.get("where")
    if where is None:
        raise invalid_query("UPDATE must have a WHERE clause")
    _check_assignments(table, statement.expressions)
    translated = translation.sql(statement.copy())
    from_ = statement.args.get("from_")
    if from_ is None:
        return Change("UPDATE", translated)
    alias = quoted(statement.this.alias)
    check = (
        f"SELECT 1 FROM {relation} AS {alias}, {translation.sql(from_.this.copy())} "
        f"WHERE {translation.sql(where.this.copy())} "
        f"GROUP BY {alias}.rowid HAVING count(*) > 1 LIMIT 1"
    )
    refusal = "UPDATE/MERGE must match at most one source row for each target row"
    return Change("UPDATE", translated, check, refusal)


def _merge(translation: Translation, statement: exp.Merge, table: Table) -> Change:
    source = statement.args["using"].alias_or_name
    for when in statement.args["whens"].expressions:
        action: Any = when.args["then"]
        if isinstance(action, exp.Update):
            _check_assignments(table, action.expressions)
        elif isinstance(action, exp.Insert):
            _complete_insert(table, action, source)
    sql = translation.sql(statement.copy())
    return Change("MERGE", f"{sql} RETURNING merge_action")


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
