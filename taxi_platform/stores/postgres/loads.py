"""Replaces a month or a small table.

A month is copied into a new table, which takes the place of the old child table at the end of
the same transaction. Readers see the old month or the new one, and never wait behind a load; a load
that does not end leaves nothing behind.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg
from psycopg import sql

from taxi_platform.errors import TransientStoreError
from taxi_platform.landing.atomic_files import WRITER_WAIT_SECONDS
from taxi_platform.stores.postgres.changes import commit_quickly
from taxi_platform.stores.postgres.child import Incoming, copy_rows, fill_child
from taxi_platform.stores.postgres.months import (
    INCOMING,
    Place,
    child_name,
    find_place,
    is_leftover,
    refuse_long_name,
    unchanged_since,
    unseen_name,
)
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.table import PostgresTable, TableName


def replace_month(
    server: PostgresServer, parent: PostgresTable, month: date, incoming: Incoming
) -> tuple[TableName, int]:
    """Replaces a month of a table.

    Returns:
        The month's child table, and its rows.

    Raises:
        PermanentStoreError: the table does not fit the schema, or its name is too long.
        TransientStoreError: it was locked for too long, or the row count differs.
    """
    refuse_long_name(parent, unseen_name(child_name(parent.name, month)))
    with server.transaction() as connection:
        parent.ensure(connection)
    with _month_locked(server, parent, month) as connection:
        place = find_place(connection, parent, month)
        columns = parent.find_columns(connection) or {}
        rows = fill_child(connection, parent, place.unseen, columns, month, incoming)
        _exchange(connection, parent, month, place)
    return place.child, rows


def replace_whole(server: PostgresServer, table: PostgresTable, incoming: Incoming) -> int:
    """Replaces all rows of a small table in one transaction; returns their number.

    What depends on the table stays: its views, grants and indexes.

    Raises:
        PermanentStoreError: the table does not fit the schema, or its name is too long.
        TransientStoreError: it was locked for too long, or rows were lost on the way.
    """
    refuse_long_name(table, table.name)
    with server.transaction() as connection:
        table.ensure(connection)
    with server.transaction() as connection:
        # One writer at a time: the second waits, and then replaces the rows of the first.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"taxi_platform {table.name.quoted}"],
        )
        connection.execute(sql.SQL("DELETE FROM {}").format(table.identifier))
        return copy_rows(connection, table.name, incoming)


def leftovers(server: PostgresServer, schema: str, *, drop: bool) -> list[str]:
    """Unattached child tables that killed runs of version 0.1 left behind.

    Only those that have the constraint of this package's child tables: a table of somebody else's
    whose name looks alike is none.

    Args:
        server: the server.
        schema: of the tables.
        drop: also drop them, as the next run of their month would do.
    """
    found = []
    with server.transaction() as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind = 'r' AND right(relname, %s) = %s ORDER BY 1",
            [schema, len(INCOMING), INCOMING],
        ).fetchall()
        for table in (TableName(schema, name) for (name,) in names):
            if not is_leftover(connection, table):
                continue
            # Somebody may be writing it, with that version.
            if _try_to_lock(connection, TableName(schema, table.name.removesuffix(INCOMING))):
                found.append(str(table))
                if drop:
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table.identifier))
    return found


@contextmanager
def _month_locked(
    server: PostgresServer, parent: PostgresTable, month: date
) -> Iterator[psycopg.Connection]:
    """A transaction that alone writes this month, until it ends or its process dies."""
    deadline = time.monotonic() + WRITER_WAIT_SECONDS
    while True:
        with server.transaction() as connection:
            if _try_to_lock(connection, child_name(parent.name, month)):
                yield connection
                return
        if time.monotonic() > deadline:
            raise TransientStoreError(
                f"{parent.address}: another run has been writing this month for "
                f"{WRITER_WAIT_SECONDS} s; try again when it has ended"
            )
        time.sleep(random.uniform(0.2, 0.6))  # noqa: S311


def _try_to_lock(connection: psycopg.Connection, child: TableName) -> bool:
    got = connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"taxi_platform {child}"]
    ).fetchone()
    return bool(got and got[0])


def _exchange(
    connection: psycopg.Connection, parent: PostgresTable, month: date, place: Place
) -> None:
    """Puts the new child table into the place of the old one, and commits."""
    drop = [sql.SQL("DROP TABLE {}").format(place.old.identifier)] if place.old else []
    commit_quickly(
        connection,
        parent.address,
        place.old.identifier if place.old else None,
        [
            # Takes the strongest lock first: with a weaker lock first and a stronger one later,
            # two writers of different months could deadlock.
            sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent.identifier),
            unchanged_since(parent.name, place),
            *drop,
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(
                place.unseen.identifier, sql.Identifier(place.child.name)
            ),
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                parent.identifier, place.child.identifier, sql.Literal(month)
            ),
        ],
    )
