"""Statements of users, which only read, whatever they say."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.answers import fetched
from taxi_platform.stores.base import Answer
from taxi_platform.stores.postgres.types import answer_type

_SHOWS = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(EXPLAIN|SHOW)\b", re.IGNORECASE | re.DOTALL)


@contextmanager
def answer(connection: psycopg.Connection, statement: str, limit: int | None) -> Iterator[Answer]:
    """What one statement reads; the server computes rows as they are fetched.

    A cursor takes nothing but a query, and nothing after it. ``EXPLAIN`` and ``SHOW`` have none;
    they are executed by the extended protocol, which takes one statement only.

    Args:
        connection: in a transaction, which ends here.
        statement: what a user typed.
        limit: at most so many rows; None for all.

    Raises:
        PermanentStoreError: it is not one statement that reads.
    """
    # The server refuses to make it writable again after a first query, and in a savepoint.
    connection.execute("SET TRANSACTION READ ONLY")
    connection.execute("SAVEPOINT reads_only")
    try:
        with _executed(connection, statement) as cursor:
            yield Answer(_schema(cursor), fetched(cursor.fetchmany, limit))
    except psycopg.errors.SyntaxError as error:
        reads = "SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW"
        raise _refused(error, f". Give one statement that reads: {reads}") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise _refused(error, ": it only reads") from error
    except psycopg.errors.UndefinedTable as error:
        raise _refused(
            error,
            ". Name the schema too (TAXI_POSTGRES_SCHEMA), such as trips.green_trips; the first "
            "load of a color makes its tables",
        ) from error
    except psycopg.errors.UndefinedColumn as error:
        hint = error.diag.message_hint
        raise _refused(error, f". {hint}" if hint else "") from error
    connection.rollback()


def _refused(error: psycopg.Error, then: str) -> PermanentStoreError:
    return PermanentStoreError(f"query: {error.diag.message_primary}{then}")


@contextmanager
def _executed(connection: psycopg.Connection, statement: str) -> Iterator[Any]:
    """A cursor that has executed the statement."""
    if _SHOWS.match(statement):
        # A binary result is only sent by the extended protocol.
        yield connection.execute(statement.encode(), binary=True)
        return
    with connection.cursor(name="answer") as cursor:
        # A semicolon at the end is usual, and no second statement.
        cursor.execute(statement.strip().removesuffix(";").encode())
        yield cursor


def _schema(cursor: Any) -> pa.Schema:
    known = cursor.connection.adapters.types
    fields = []
    for column in cursor.description or []:
        kind = known.get(column.type_code)
        # The registry finds an array under the type of its elements.
        name = kind.regtype if kind and kind.oid == column.type_code else ""
        arrow = answer_type(name, column.precision, column.scale)
        fields.append(pa.field(column.name, arrow))
    return pa.schema(fields)
