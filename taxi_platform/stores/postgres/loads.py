"""Replaces a month or a small table.

A month is copied into a new, unattached table, which then replaces the old child table in one short
transaction. Readers see the old month or the new one, and never wait behind
a load.
"""

import random
import re
import time
from datetime import date

import psycopg
from psycopg import sql

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.atomic_files import WRITER_WAIT_SECONDS
from taxi_platform.stores.postgres.child import Incoming, copy_rows, fill_child
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.settings import LONGEST_NAME
from taxi_platform.stores.postgres.table import PostgresTable, TableName
from taxi_platform.trips.schema import DATA_FILE_MONTH

INCOMING = "_incoming"
"""The suffix of a child table's name until it is attached."""

_LEFTOVER = re.compile(rf"(.+)_(\d{{4}})_(0[1-9]|1[0-2]){INCOMING}")


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
    child = _child_of(parent.name, month)
    unseen = TableName(child.schema, f"{child.name}{INCOMING}")
    _check_length(parent, unseen)
    # The lock lasts as long as the connection, so it is released when this process ends or dies.
    with server.connect() as connection:
        _wait_for_lock(connection, parent, month)
        columns = parent.ensure(connection)
        rows = fill_child(server, unseen, columns, month, incoming, parent.time_column)
        parent.change_quickly(
            connection, lambda: _exchange(connection, parent, month, child, unseen)
        )
    return child, rows


def replace_whole(server: PostgresServer, table: PostgresTable, incoming: Incoming) -> int:
    """Replaces all rows of a small table in one transaction; returns their number.

    What depends on the table stays: its views, grants and indexes.

    Raises:
        PermanentStoreError: the table does not fit the schema, or its name is too long.
        TransientStoreError: it was locked for too long, or rows were lost on the way.
    """
    _check_length(table, table.name)
    name = table.identifier.as_string()
    with server.connect() as connection:
        table.ensure(connection)
    with server.connect_arrow(autocommit=False) as arrow, arrow.cursor() as cursor:
        # One writer at a time: the second waits, and then replaces the rows of the first.
        lock = sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))")
        cursor.execute(lock.format(sql.Literal(f"taxi_platform {name}")).as_string())
        cursor.execute(sql.SQL("DELETE FROM {}").format(table.identifier).as_string())
        rows = copy_rows(cursor, table.name, incoming)
        arrow.commit()
    return rows


def leftovers(server: PostgresServer, schema: str, *, drop: bool) -> list[str]:
    """Unattached child tables that killed runs left behind, and no run is writing now.

    Only of tables that are partitioned as this package does it: a table of somebody else's whose
    name looks alike is none.

    Args:
        server: the server.
        schema: of the tables.
        drop: also drop them, as the next run of their month would do.
    """
    found = []
    with server.connect() as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind = 'r' AND right(relname, %s) = %s ORDER BY 1",
            [schema, len(INCOMING), INCOMING],
        ).fetchall()
        for (name,) in names:
            match = _LEFTOVER.fullmatch(name)
            if match is None or not _is_parent(connection, TableName(schema, match[1])):
                continue
            month = date(int(match[2]), int(match[3]), 1)
            if _try_to_lock(connection, TableName(schema, match[1]), month):
                found.append(f"{schema}.{name}")
                if drop:
                    table = sql.Identifier(schema, name)
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    return found


def _is_parent(connection: psycopg.Connection, name: TableName) -> bool:
    row = connection.execute(
        "SELECT pg_get_partkeydef(to_regclass(%s))", [name.identifier.as_string(connection)]
    ).fetchone()
    return row is not None and row[0] == f"LIST ({DATA_FILE_MONTH})"


def _child_of(parent: TableName, month: date) -> TableName:
    return TableName(parent.schema, f"{parent.name}_{month:%Y_%m}")


def _check_length(table: PostgresTable, longest: TableName) -> None:
    """Refuses a name that Postgres would truncate: two tables could get the same name."""
    excess = len(longest.name.encode()) - LONGEST_NAME
    if excess > 0:
        raise PermanentStoreError(
            f"{table.address}: the table's name is too long for Postgres by {excess} bytes: give "
            "the asset a shorter one"
        )


def _wait_for_lock(connection: psycopg.Connection, parent: PostgresTable, month: date) -> None:
    """Allows one writer for each month."""
    deadline = time.monotonic() + WRITER_WAIT_SECONDS
    while not _try_to_lock(connection, parent.name, month):
        if time.monotonic() > deadline:
            raise TransientStoreError(
                f"{parent.address}: another run has been writing this month for "
                f"{WRITER_WAIT_SECONDS} s; try again when it has ended"
            )
        time.sleep(random.uniform(0.2, 0.6))  # noqa: S311


def _try_to_lock(connection: psycopg.Connection, parent: TableName, month: date) -> bool:
    got = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))",
        [f"taxi_platform {_child_of(parent, month)}"],
    ).fetchone()
    return bool(got and got[0])


def _exchange(
    connection: psycopg.Connection,
    parent: PostgresTable,
    month: date,
    child: TableName,
    unseen: TableName,
) -> None:
    # Takes the strongest lock first: with a weaker lock first and a stronger one later, two
    # writers of different months could deadlock.
    connection.execute(
        sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent.identifier)
    )
    _refuse_other_table(connection, parent, child)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(child.identifier))
    connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(unseen.identifier, sql.Identifier(child.name))
    )
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
            parent.identifier, child.identifier, sql.Literal(month)
        )
    )


def _refuse_other_table(
    connection: psycopg.Connection, parent: PostgresTable, child: TableName
) -> None:
    """Refuses to drop a table that has a child's name and is none of this parent."""
    found = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid "
        "AND inhparent = to_regclass(%s)) FROM pg_class c WHERE c.oid = to_regclass(%s)",
        [parent.identifier.as_string(connection), child.identifier.as_string(connection)],
    ).fetchone()
    if found and not found[0]:
        raise PermanentStoreError(
            f"{parent.address}: the table {child} is not one of its months: rename it"
        )
