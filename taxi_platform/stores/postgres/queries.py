"""Statements of users, which only read, whatever they say."""

import re

import psycopg

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.base import Answer

_SHOWS = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(EXPLAIN|SHOW)\b", re.IGNORECASE | re.DOTALL)


def answer(connection: psycopg.Connection, statement: str, limit: int) -> Answer:
    """The first rows of what one statement reads; the server does not compute the others.

    A cursor takes nothing but a query, and nothing after it. ``EXPLAIN`` and ``SHOW`` have none;
    they are executed by the extended protocol, which takes one statement only.

    Args:
        connection: in a transaction, which ends here.
        statement: what a user typed.
        limit: how many rows.

    Raises:
        PermanentStoreError: it is not one statement that reads.
    """
    # The server refuses to make it writable again after a first query, and in a savepoint.
    connection.execute("SET TRANSACTION READ ONLY")
    connection.execute("SAVEPOINT reads_only")
    try:
        found = _explained(connection, statement, limit)
        if found is None:
            found = _selected(connection, statement, limit)
    except psycopg.errors.SyntaxError as error:
        message = " ".join(str(error).split())
        raise PermanentStoreError(
            f"query: {message}. Give one statement that reads: SELECT, WITH, VALUES, TABLE, "
            "EXPLAIN or SHOW"
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise PermanentStoreError(f"query: {error.diag.message_primary}: it only reads") from error
    connection.rollback()
    return found


def _selected(connection: psycopg.Connection, statement: str, limit: int) -> Answer:
    with connection.cursor(name="answer") as cursor:
        # A semicolon at the end is usual, and no second statement.
        cursor.execute(statement.strip().removesuffix(";").encode())
        rows = cursor.fetchmany(limit + 1)
        names = [column.name for column in cursor.description or []]
    return Answer(names, rows[:limit], len(rows) > limit)


def _explained(connection: psycopg.Connection, statement: str, limit: int) -> Answer | None:
    if not _SHOWS.match(statement):
        return None
    # A binary result is only sent by the extended protocol.
    cursor = connection.execute(statement.encode(), binary=True)
    rows = cursor.fetchmany(limit + 1)
    names = [column.name for column in cursor.description or []]
    return Answer(names, rows[:limit], len(rows) > limit)
