"""Comparisons and set operations of types that DuckDB converts and BigQuery does not.

SQLGlot follows the types of columns through subqueries, CTEs, joins and UNNEST. Where it cannot,
the type is unknown, and nothing is refused: there the emulator is more lenient than BigQuery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.storage.catalog import Table
from bigquery_emulator.storage.column_types import standard_name

_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}
_KINDS = {
    **dict.fromkeys(exp.DataType.TEXT_TYPES, "text"),
    **dict.fromkeys(exp.DataType.NUMERIC_TYPES, "number"),
    **dict.fromkeys(exp.DataType.TEMPORAL_TYPES, "time"),
    exp.DataType.Type.TIME: "time",
    exp.DataType.Type.BOOLEAN: "boolean",
    exp.DataType.Type.BINARY: "bytes",
    exp.DataType.Type.VARBINARY: "bytes",
}

TableOf = Callable[[exp.Table], Table | None]


def check_types(statement: exp.Expr, table_of: TableOf) -> None:
    """Refuses comparisons and set operations of values that BigQuery does not convert.

    Args:
        statement: as it was parsed.
        table_of: finds the table that is named, or None if it is not one of the catalog.

    Raises:
        ApiError: BigQuery would refuse the statement.
    """
    for query in _queries_of(statement):
        typed = _typed(query, table_of)
        for node in typed.walk() if typed else ():
            for left, right, operator in _compared(node):
                if not _comparable(left, right):
                    raise invalid_query(
                        f"No matching signature for operator {operator} for argument types: "
                        f"{_name(left)}, {_name(right)}"
                    )
            if isinstance(node, exp.SetOperation):
                _check_columns(node)


def _queries_of(statement: Any) -> Iterator[exp.Query]:
    """The queries in a statement, and its conditions as queries of the tables they are about."""
    if isinstance(statement, exp.Query):
        yield statement.copy()
    elif isinstance(statement, exp.Create | exp.Insert):
        if isinstance(statement.expression, exp.Query):
            yield statement.expression.copy()
    elif isinstance(statement, exp.Update | exp.Delete) and statement.args.get("where"):
        query = exp.select("1").from_(statement.this.copy())
        if statement.args.get("from_"):
            query = query.join(statement.args["from_"].this.copy())
        yield query.where(statement.args["where"].this.copy())
    elif isinstance(statement, exp.Merge):
        query = exp.select("1").from_(statement.this.copy())
        yield query.join(statement.args["using"].copy(), on=statement.args["on"].copy())


def _typed(query: exp.Query, table_of: TableOf) -> exp.Expr | None:
    """The query with the types of its parts, or None if SQLGlot cannot follow it."""
    columns: dict[str, object] = {}
    for node in list(query.find_all(exp.Table)):
        table = table_of(node)
        if table is None:
            continue
        # Names of one part each, whatever the query wrote.
        alias = node.alias or node.name.rpartition(".")[2]
        name = f"table_{len(columns)}"
        columns[name] = {field["name"]: standard_name(field) for field in table.fields}
        node.set("this", exp.to_identifier(name))
        node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        node.set("db", None)
        node.set("catalog", None)
    try:
        schema = MappingSchema(columns, dialect="bigquery")
        qualified = qualify(
            query, schema=schema, dialect="bigquery", validate_qualify_columns=False
        )
        return annotate_types(qualified, schema=schema, dialect="bigquery")
    except Exception:  # noqa: BLE001 - a check that cannot be made must not fail a query
        return None


def _compared(node: Any) -> Iterator[tuple[exp.Expr, exp.Expr, str]]:
    if type(node) in _OPERATORS:
        yield node.this, node.expression, _OPERATORS[type(node)]
    elif isinstance(node, exp.Between):
        yield node.this, node.args["low"], "BETWEEN"
        yield node.this, node.args["high"], "BETWEEN"
    elif isinstance(node, exp.In):
        for value in node.expressions:
            yield node.this, value, "IN"
        query = node.args.get("query")
        if query is not None and query.unnest().selects:
            yield node.this, query.unnest().selects[0], "IN"


def _check_columns(operation: exp.SetOperation) -> None:
    pairs = zip(operation.left.selects, operation.right.selects, strict=False)
    for position, (left, right) in enumerate(pairs, start=1):
        if not _comparable(left, right):
            raise invalid_query(
                f"Column {position} in {operation.key.upper()} has incompatible types: "
                f"{_name(left)}, {_name(right)}"
            )


def _comparable(left: exp.Expr, right: exp.Expr) -> bool:
    kinds = _kind(left), _kind(right)
    if None in kinds or kinds[0] == kinds[1]:
        return True
    # A constant becomes a time, an expression does not.
    texts = [side for side, kind in zip((left, right), kinds, strict=True) if kind == "text"]
    return set(kinds) == {"text", "time"} and isinstance(texts[0].unalias(), exp.Literal)


def _kind(node: exp.Expr) -> str | None:
    # A bare NULL goes with everything, though a column of NULLs is one of INT64.
    if node.type is None or isinstance(node.unalias(), exp.Null):
        return None
    return _KINDS.get(node.type.this)


def _name(node: exp.Expr) -> str:
    return node.type.sql("bigquery") if node.type is not None else "UNKNOWN"
