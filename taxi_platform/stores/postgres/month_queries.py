"""Answers the queries whose rows are a month of a derived table.

The server computes them. Their rows are few, and pass through this process as those of every other
derived table do, so that there is one way to replace a month.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from taxi_platform.stores.base import MonthQuery, Relation
from taxi_platform.stores.postgres.server import local_settings
from taxi_platform.stores.postgres.types import postgres_type
from taxi_platform.stores.relations import named_in, with_clause
from taxi_platform.trips.schema import DATA_FILE_MONTH


def answered(
    connection: psycopg.Connection,
    month: date,
    relations: Mapping[str, Relation],
    queries: Sequence[MonthQuery],
) -> Iterator[pa.Table]:
    """The rows of each query, with the month's column.

    Small relations become temporary tables, so that each is computed once for all queries. They are
    named like no other table, and are gone when the transaction ends.

    Args:
        connection: in a transaction. What it has read of a table, it locks against an exchange.
        month: first day of the month.
        relations: what the queries may name.
        queries: the queries.
    """
    # Compiling takes longer than it saves, and so does sorting the pairs of zones.
    connection.execute(local_settings(jit="off", work_mem="64MB", search_path="pg_temp"))
    tables = _named_by(queries, relations)
    others = {name: relation for name, relation in relations.items() if name not in tables}
    for name in tables:
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {}").format(
                sql.Identifier(name), _sql(with_clause(others, relations[name].sql))
            )
        )
    for query in queries:
        yield _rows(connection, month, query, with_clause(others, query.sql))


def _named_by(queries: Sequence[MonthQuery], relations: Mapping[str, Relation]) -> list[str]:
    """The small relations that queries name, and those that these name, in order."""
    texts, found = [query.sql for query in queries], []
    for name, relation in reversed(list(relations.items())):
        if relation.is_small and any(named_in(name, text) for text in texts):
            texts.append(relation.sql)
            found.append(name)
    return found[::-1]


def _rows(
    connection: psycopg.Connection, month: date, query: MonthQuery, statement: str
) -> pa.Table:
    """A query's rows in the types of its columns, to which the server casts them."""
    fields = [field for field in query.schema if field.name != DATA_FILE_MONTH]
    columns = sql.SQL(", ").join(
        sql.SQL("CAST({0} AS {1}) AS {0}").format(
            sql.Identifier(field.name), sql.SQL(postgres_type(field.type))
        )
        for field in fields
    )
    found = connection.execute(
        sql.SQL("SELECT {} FROM ({}) AS answer").format(columns, _sql(statement))
    ).fetchall()
    values: list[Sequence[Any]] = list(zip(*found, strict=True)) or [() for _ in fields]
    arrays = [pa.array(v, field.type) for v, field in zip(values, fields, strict=True)]
    months = pa.array([month] * len(found), pa.date32())
    return pa.table(
        [*arrays, months],
        schema=pa.schema([*fields, query.schema.field(DATA_FILE_MONTH)]),
    )


def _sql(statement: str) -> sql.SQL:
    """A statement of the platform's own."""
    return sql.SQL(statement)
