"""The months of a table: which child table has a month, and whether it may be replaced.

A month's child table is the partition whose bound is the month. Its name proves nothing: after a
table was renamed, its children still have the names that the next table would give to its own.
"""

import re
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.postgres.changes import CHANGED
from taxi_platform.stores.postgres.settings import LONGEST_NAME
from taxi_platform.stores.postgres.table import PostgresTable, TableName
from taxi_platform.trips.schema import DATA_FILE_MONTH

INCOMING = "_incoming"
"""The suffix of a child table's name until it is attached."""

MONTH_CHECK = "file_month"
"""The constraint that each child table has, by which this package knows its own."""


_BOUND = re.compile(r"FOR VALUES IN \('(\d{4}-\d\d-01)'\)")


@dataclass(frozen=True)
class Place:
    """The place of a month in its table.

    Attributes:
        old: the child table that has the month now, if there is one.
        child: the name of the table that is to replace it.
        unseen: that table's name until it is attached.
        state: what the table was like when it was looked at.
    """

    old: TableName | None
    child: TableName
    unseen: TableName
    state: str


def child_name(parent: TableName, month: date) -> TableName:
    """What a month's child table is called, unless that name is taken."""
    return TableName(parent.schema, f"{parent.name}_{month:%Y_%m}")


def unseen_name(child: TableName) -> TableName:
    """What a child table is called until it is attached."""
    return TableName(child.schema, f"{child.name}{INCOMING}")


def find_place(connection: psycopg.Connection, parent: PostgresTable, month: date) -> Place:
    """Where the month is, and where it is to be.

    Raises:
        PermanentStoreError: somebody else's table is in the way, or something of somebody else's
            would be lost with the old child table; names it.
    """
    old = _find_old(connection, parent, month)
    child = _free_name(connection, parent, month, old)
    unseen = unseen_name(child)
    refuse_long_name(parent, unseen)
    taken = _kind_of(connection, unseen)
    if taken is not None and not is_leftover(connection, unseen):
        raise _in_the_way(parent, unseen)
    row = connection.execute(sql.SQL("SELECT {}").format(_state(parent.name, old))).fetchone()
    return Place(old, child, unseen, row[0] if row else "")


def filled_months(connection: psycopg.Connection, parent: TableName) -> set[date]:
    """The months that have rows, of which the first is read; none if there is no such table."""
    parts = [
        sql.SQL("SELECT {}::date WHERE EXISTS (SELECT FROM {})").format(
            sql.Literal(found[1]), child.identifier
        )
        for child, _, bound in _partitions(connection, parent)
        if (found := _BOUND.fullmatch(bound))
    ]
    if not parts:
        return set()
    return {month for (month,) in connection.execute(sql.SQL(" UNION ALL ").join(parts))}


def unchanged_since(parent: TableName, place: Place) -> sql.Composed:
    """The statement that fails if the table is not as it was when the place was found."""
    body = sql.SQL("BEGIN IF {} <> {} THEN RAISE EXCEPTION USING ERRCODE = {}; END IF; END").format(
        _state(parent, place.old), sql.Literal(place.state), sql.Literal(CHANGED)
    )
    return sql.SQL("DO {}").format(sql.Literal(body.as_string()))


def is_leftover(connection: psycopg.Connection, table: TableName) -> bool:
    """Whether a table is a child table of this package's that was never attached."""
    row = connection.execute(
        "SELECT FROM pg_class t JOIN pg_constraint c ON c.conrelid = t.oid "
        "WHERE t.oid = to_regclass(%s) AND t.relkind = 'r' AND NOT t.relispartition "
        "AND c.conname = %s AND c.contype = 'c' AND strpos(pg_get_constraintdef(c.oid), %s) > 0",
        [table.quoted, MONTH_CHECK, DATA_FILE_MONTH],
    ).fetchone()
    return row is not None


def refuse_long_name(table: PostgresTable, longest: TableName) -> None:
    """Refuses a name that Postgres would truncate: two tables could get the same name."""
    excess = len(longest.name.encode()) - LONGEST_NAME
    if excess > 0:
        raise PermanentStoreError(
            f"{table.address}: the table's name is too long for Postgres by {excess} bytes: give "
            "the asset a shorter one"
        )


def _find_old(
    connection: psycopg.Connection, parent: PostgresTable, month: date
) -> TableName | None:
    for old, is_plain, bound in _partitions(connection, parent.name):
        if f"'{month}'" not in bound:
            continue
        if not is_plain or bound != f"FOR VALUES IN ('{month}')":
            raise PermanentStoreError(
                f"{parent.address}: its partition {old} is not one table with this month alone "
                f"({bound}): detach it, and load its months again"
            )
        _refuse_loss(connection, parent, old)
        return old
    return None


def _partitions(
    connection: psycopg.Connection, parent: TableName
) -> list[tuple[TableName, bool, str]]:
    """The partitions of a table, whether each is a plain table, and its bound."""
    rows = connection.execute(
        "SELECT n.nspname, c.relname, c.relkind = 'r', pg_get_expr(c.relpartbound, c.oid) "
        "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE inhparent = to_regclass(%s)",
        [parent.quoted],
    )
    return [(TableName(schema, name), plain, bound or "") for schema, name, plain, bound in rows]


def _refuse_loss(connection: psycopg.Connection, parent: PostgresTable, old: TableName) -> None:
    """Refuses to drop what somebody has added to the child table alone."""
    rows = connection.execute(
        """
        WITH child AS (SELECT to_regclass(%(child)s)::oid AS oid)
        SELECT format('trigger %%I', tgname) FROM pg_trigger, child
          WHERE tgrelid = child.oid AND NOT tgisinternal AND tgparentid = 0
        UNION SELECT format('constraint %%I', conname) FROM pg_constraint, child
          WHERE conrelid = child.oid AND coninhcount = 0 AND conparentid = 0
          AND conname <> %(check)s
        UNION SELECT format('foreign key %%I of %%s', conname, conrelid::regclass)
          FROM pg_constraint, child WHERE confrelid = child.oid AND conparentid = 0
        UNION SELECT format('index %%s', indexrelid::regclass) FROM pg_index, child
          WHERE indrelid = child.oid
          AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        UNION SELECT format('policy %%I', polname) FROM pg_policy, child WHERE polrelid = child.oid
        UNION SELECT 'row-level security' FROM pg_class c, child
          WHERE c.oid = child.oid AND c.relrowsecurity
        UNION SELECT format('statistics %%I', stxname) FROM pg_statistic_ext, child
          WHERE stxrelid = child.oid
        UNION SELECT format('publication %%I', pubname) FROM child
          JOIN pg_publication_rel r ON prrelid = child.oid JOIN pg_publication p ON p.oid = prpubid
        UNION SELECT format('view or rule of %%s', ev_class::regclass) FROM child
          JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = child.oid
          JOIN pg_rewrite r ON classid = 'pg_rewrite'::regclass AND objid = r.oid
        ORDER BY 1
        """,
        {"child": old.quoted, "check": MONTH_CHECK},
    ).fetchall()
    if rows:
        raise PermanentStoreError(
            f"{parent.address}: the month cannot be replaced without what was added to its table "
            f"{old} alone: {', '.join(what for (what,) in rows)}. Add it to {parent.name}, which "
            "stays, or drop it"
        )


def _free_name(
    connection: psycopg.Connection, parent: PostgresTable, month: date, old: TableName | None
) -> TableName:
    """The name of the new child table."""
    usual = child_name(parent.name, month)
    for candidate in (usual, old or usual):
        if candidate == old or _kind_of(connection, candidate) is None:
            return candidate
    if _kind_of(connection, usual) != "partition":
        raise _in_the_way(parent, usual)
    number = 2
    while _kind_of(connection, TableName(usual.schema, f"{usual.name}_{number}")) is not None:
        number += 1
    return TableName(usual.schema, f"{usual.name}_{number}")


def _kind_of(connection: psycopg.Connection, name: TableName) -> str | None:
    """What bears a name: a partition of some table, something else, or nothing."""
    row = connection.execute(
        "SELECT CASE WHEN relispartition THEN 'partition' ELSE 'other' END FROM pg_class "
        "WHERE oid = to_regclass(%s)",
        [name.quoted],
    ).fetchone()
    return row[0] if row else None


def _in_the_way(parent: PostgresTable, name: TableName) -> PermanentStoreError:
    return PermanentStoreError(
        f"{parent.address}: the table {name} is not one of its months and has the name of one: "
        f"rename it ('ALTER TABLE {name} RENAME TO …')"
    )


def _state(parent: TableName, old: TableName | None) -> sql.Composed:
    """An expression that changes with what the month's new table was made for."""
    child = sql.SQL(
        "(SELECT inhrelid FROM pg_inherits WHERE inhrelid = to_regclass({}) "
        "AND inhparent = to_regclass({}))"
    ).format(sql.Literal(old.quoted if old else None), sql.Literal(parent.quoted))
    return sql.SQL(
        "concat_ws(' ', to_regclass({parent})::oid, {child}, "
        "(SELECT string_agg(indexrelid::text, ',' ORDER BY indexrelid) FROM pg_index "
        "WHERE indrelid = to_regclass({parent})), "
        "(SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_constraint "
        "WHERE conrelid = to_regclass({parent})))"
    ).format(parent=sql.Literal(parent.quoted), child=child)
