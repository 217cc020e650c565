"""Views of the tables: created, and replaced if they are not like they should be."""

from collections.abc import Sequence

import psycopg
from psycopg import errors, sql

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.base import View
from taxi_platform.stores.postgres.changes import LOCK_WAIT_MS
from taxi_platform.stores.postgres.server import local_settings
from taxi_platform.stores.postgres.table import TableName

_MARK = "Made by taxi_platform, version "


def existing_tables(connection: psycopg.Connection, schema: str, names: Sequence[str]) -> set[str]:
    """Those of the tables that exist in a schema; views are none."""
    rows = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relname = ANY(%s) AND relkind IN ('r', 'p')",
        [schema, list(names)],
    )
    return {name for (name,) in rows}


def ensure_view(connection: psycopg.Connection, where: str, name: TableName, view: View) -> None:
    """Creates the view, or replaces it if it is not like this.

    Readers of the view never wait behind this for longer than they wait behind an exchange.

    Args:
        connection: in a transaction.
        where: the start of messages.
        name: of the view.
        view: what it should be.

    Raises:
        PermanentStoreError: something else has the name, or depends on the view and would be lost.
        TransientStoreError: the view is being read for long.
    """
    # Two runs may want it at once.
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"taxi_platform view {name}"]
    )
    comment = f"{view.description} {_MARK}{_fingerprint(connection, name.schema, view)}"
    found = connection.execute(
        "SELECT relkind, obj_description(oid, 'pg_class') FROM pg_class "
        "WHERE oid = to_regclass(%s)",
        [name.quoted],
    ).fetchone()
    if found is not None and (found[0] != "v" or _MARK not in (found[1] or "")):
        restored = (
            f" (if only its comment was changed: COMMENT ON VIEW {name} IS '{_MARK}0')"
            if found[0] == "v"
            else ""
        )
        raise PermanentStoreError(
            f"{where}: {name} is not the platform's view, and has its name: rename it{restored}"
        )
    if found is not None and found[1] == comment:
        return
    connection.execute(local_settings(lock_timeout=f"{LOCK_WAIT_MS}ms"))
    try:
        _create_or_replace(connection, name, sql.SQL(view.sql))
        connection.execute(
            sql.SQL("COMMENT ON VIEW {} IS {}").format(name.identifier, sql.Literal(comment))
        )
    except errors.DependentObjectsStillExist as error:
        raise PermanentStoreError(
            f"{where}: the view has changed, and cannot be replaced without what depends on it: "
            f"{error.diag.message_detail}. Drop that, and create it again afterwards"
        ) from error
    except errors.LockNotAvailable as error:
        raise TransientStoreError(f"{where} is being read by a long query") from error


def _create_or_replace(connection: psycopg.Connection, name: TableName, query: sql.SQL) -> None:
    """Replaces a view. What depends on it stays, unless the new query lacks a column."""
    try:
        with connection.transaction():  # a savepoint
            connection.execute(
                sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name.identifier, query)
            )
        return
    except errors.InvalidTableDefinition:
        granted = connection.execute(
            "SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' "
            "ELSE quote_ident(pg_get_userbyid(grantee)) END, is_grantable "
            "FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner",
            [name.quoted],
        ).fetchall()
    connection.execute(sql.SQL("DROP VIEW {}").format(name.identifier))
    connection.execute(sql.SQL("CREATE VIEW {} AS {}").format(name.identifier, query))
    for privilege, grantee, may_grant in granted:
        connection.execute(
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                name.identifier,
                sql.SQL(grantee),
                sql.SQL(" WITH GRANT OPTION" if may_grant else ""),
            )
        )


def _fingerprint(connection: psycopg.Connection, schema: str, view: View) -> str:
    """Changes with the view's query, and with what has the names of its tables.

    A view goes on reading a table that was renamed.
    """
    row = connection.execute(
        "SELECT md5(concat(%s::text, string_agg(c.oid::text, ',' ORDER BY c.oid))) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = ANY(%s)",
        [view.sql, schema, list(view.tables)],
    ).fetchone()
    return str(row[0]) if row else ""
