"""The rights that a load needs, asked of the server before the first load fails for want of one."""

import psycopg
from psycopg import sql

from taxi_platform.stores.postgres.table import has_schema
from taxi_platform.trips.schema import DATA_FILE_MONTH


def missing_rights(connection: psycopg.Connection, schema: str) -> list[str]:
    """What the user may not do and a load does, each with the statement that allows it.

    Args:
        connection: in a transaction.
        schema: of the tables.
    """
    missing = []
    row = connection.execute(
        "SELECT current_setting('transaction_read_only'), current_user, current_database(), "
        "has_database_privilege(current_database(), 'CREATE'), "
        "has_database_privilege(current_database(), 'TEMPORARY')"
    ).fetchone()
    assert row is not None  # noqa: S101 (it always answers)
    read_only, user, database, may_create, may_make_temporary = row
    if read_only == "on":
        missing.append(
            "the server is read-only: check TAXI_POSTGRES_HOST and default_transaction_read_only"
        )
    to_user = sql.Identifier(user).as_string()
    on_database = f"ON DATABASE {sql.Identifier(database).as_string()} TO {to_user}"
    if not has_schema(connection, schema):
        if not may_create:
            grant = f"GRANT CREATE {on_database}"
            missing.append(f"there is no schema {schema}, and it may not create it ({grant})")
        return missing
    quoted = sql.Identifier(schema).as_string()
    for right in ("USAGE", "CREATE"):
        row = connection.execute("SELECT has_schema_privilege(%s, %s)", [schema, right]).fetchone()
        if row is None or not row[0]:
            missing.append(
                f"it has no {right} on the schema (GRANT {right} ON SCHEMA {quoted} TO {to_user})"
            )
    if not may_make_temporary:
        missing.append(f"marts need temporary tables (GRANT TEMPORARY {on_database})")
    return missing + [
        f"it does not own the table {table} (ALTER TABLE {table} OWNER TO {to_user})"
        for table in _tables_of_others(connection, schema)
    ]


def _tables_of_others(connection: psycopg.Connection, schema: str) -> list[str]:
    """Tables of months, and their months, that only another user may exchange."""
    rows = connection.execute(
        "WITH parents AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = %(schema)s AND relkind = 'p' AND pg_get_partkeydef(c.oid) = %(key)s) "
        "SELECT format('%%I.%%I', nspname, relname) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT pg_has_role(relowner, 'USAGE') "
        "AND (c.oid IN (SELECT oid FROM parents) OR c.oid IN (SELECT inhrelid FROM pg_inherits "
        "WHERE inhparent IN (SELECT oid FROM parents))) ORDER BY 1",
        {"schema": schema, "key": f"LIST ({DATA_FILE_MONTH})"},
    )
    return [table for (table,) in rows]
