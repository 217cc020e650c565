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
from bigquery_emulator.storage import segments
from bigquery_emulator.storage.catalog import Table
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
            done = translation.run(self.sql)
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
    if kind != "INSERT":
        cursor.execute(f"INSERT INTO {segment.relation} SELECT * FROM {table.relation}")
    counts = change.run(translation)
    segments.settle(cursor, segment.relation, table.fields, invalid_query)
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
        return translation.tables.table_of(statement.expressions[0])
    if isinstance(statement, exp.Delete) and not statement.this:
        # "DELETE t WHERE", without FROM.
        statement.set("this", statement.args["tables"][0])
        statement.set("tables", None)
    named = statement.this
    return translation.tables.table_of(named.this if isinstance(named, exp.Schema) else named)


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
        return _update(translation, statement, relation)
    if isinstance(statement, exp.Merge):
        return _merge(translation, statement)
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
    names = [column["name"] for column in table.fields]
    if isinstance(named, exp.Schema):
        names = [one.name for one in named.expressions]
    columns = ", ".join(quoted(name) for name in names)
    sql = translation.sql(statement.expression.copy())
    return Change("INSERT", f"INSERT INTO {relation} ({columns}) {sql}")


def _update(translation: Translation, statement: exp.Update, relation: str) -> Change:
    where = statement.args.get("where")
    if where is None:
        raise invalid_query("UPDATE must have a WHERE clause")
    _check_assignments(statement.expressions)
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


def _merge(translation: Translation, statement: exp.Merge) -> Change:
    for when in statement.args["whens"].expressions:
        action: Any = when.args["then"]
        if isinstance(action, exp.Update):
            _check_assignments(action.expressions)
        elif isinstance(action, exp.Insert):
            complete = isinstance(action.this, exp.Tuple) and isinstance(
                action.expression, exp.Tuple
            )
            if not complete:
                raise unsupported("this INSERT in a MERGE")
    sql = translation.sql(statement.copy())
    return Change("MERGE", f"{sql} RETURNING merge_action")


def _check_assignments(assignments: list[exp.Expr]) -> None:
    for assignment in assignments:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            raise unsupported("this kind of assignment")
        if assignment.this.db:
            raise unsupported("assignments to fields of a STRUCT")
