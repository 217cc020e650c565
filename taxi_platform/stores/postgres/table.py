"""A table of months in Postgres: creates it, and adds columns of its schema.

``child`` and ``loads`` fill and exchange its months.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pyarrow as pa
from psycopg import errors, sql

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.postgres.settings import LONGEST_NAME
from taxi_platform.stores.postgres.types import column_definitions, postgres_type
from taxi_platform.trips.schema import DATA_FILE_MONTH

LOCK_WAIT_MS = 400
"""How long a change may wait in the table's lock queue, where readers wait behind it."""

CHANGE_SECONDS = 300
"""How long a change is tried before the step fails, to be retried."""

HOW_TO_MIGRATE = (
    "Change the column ('ALTER TABLE … ALTER COLUMN … TYPE …') or rename the table, then load its "
    "months again with a backfill; docs/guarantees.md, 'When the schema changes'"
)


@dataclass(frozen=True)
class TableName:
    """A table's name in its parts."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """Both parts, quoted for statements."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def column_types(connection: psycopg.Connection, table: TableName) -> dict[str, str]:
    """The columns of a table of whatever shape, and what Postgres calls their types.

    Empty if there is no such table.
    """
    return {name: is_type for name, is_type, _ in _columns(connection, table)}


def _columns(connection: psycopg.Connection, table: TableName) -> list[tuple[str, str, bool]]:
    """Name, type, and whether it is NOT NULL."""
    return connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table.identifier.as_string(connection)],
    ).fetchall()


def _too_long(names: list[str]) -> list[str]:
    return [
        f"the name of its column {name} is longer than {LONGEST_NAME} bytes"
        for name in names
        if len(name.encode()) > LONGEST_NAME
    ]


class PostgresTable:
    """A table defined by an Arrow schema: a parent of months, or a table without partitions.

    Args:
        name: of the table.
        columns: its Arrow schema, with descriptions in the fields' metadata.
        where: the start of messages: the partition if there is one, and the server.
        by_month: whether it is partitioned by list on ``data_file_month``.
        time_column: the column that gets a BRIN index, if any.
    """

    def __init__(
        self,
        name: TableName,
        columns: pa.Schema,
        where: str,
        *,
        by_month: bool = True,
        time_column: str | None = None,
    ) -> None:
        self.name = name
        self.columns = columns
        self.address = f"{where}, {name}"
        self.identifier = name.identifier
        self.time_column = time_column
        self._partition_key = f"LIST ({DATA_FILE_MONTH})" if by_month else None

    def ensure(self, connection: psycopg.Connection) -> sql.Composed:
        """Creates the table, or adds missing columns, which are null in old rows.

        Returns:
            The definitions of its columns, those of others among them.

        Raises:
            PermanentStoreError: the table does not fit the schema.
            TransientStoreError: it was locked for too long.
        """
        found = self.find_columns(connection)
        if found is None:
            self._create(connection)
        elif missing := [name for name in self.columns.names if name not in found]:
            self.change_quickly(connection, lambda: self._add(connection, missing))
        return sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(is_type))
            for name, is_type in (self.find_columns(connection) or {}).items()
        )

    def find_columns(self, connection: psycopg.Connection) -> dict[str, str] | None:
        """The table's columns and what Postgres calls their types, None if there is no table.

        Raises:
            PermanentStoreError: the table does not fit the schema.
        """
        table = connection.execute(
            "SELECT pg_get_partkeydef(oid), relispartition FROM pg_class "
            "WHERE oid = to_regclass(%s)",
            [self.identifier.as_string(connection)],
        ).fetchone()
        if table is None:
            return None
        found = _columns(connection, self.name)
        wanted = {field.name: postgres_type(field.type) for field in self.columns}
        problems = []
        if table[0] != self._partition_key:
            problems.append(
                f"it is not partitioned by list on {DATA_FILE_MONTH}"
                if self._partition_key
                else "it is partitioned"
            )
        if table[1]:
            problems.append("it is a partition of another table")
        problems += _too_long(self.columns.names)
        for name, is_type, not_null in found:
            if not_null and (self._partition_key or name not in wanted):
                problems.append(f"{name} is NOT NULL")
            if name in wanted and is_type != wanted[name]:
                problems.append(f"{name} is {is_type} and not {wanted[name]}")
        if problems:
            raise PermanentStoreError(
                f"{self.address} does not fit the schema: {'; '.join(problems)}. {HOW_TO_MIGRATE}"
            )
        return {name: is_type for name, is_type, _ in found}

    def change_quickly(self, connection: psycopg.Connection, change: Callable[[], None]) -> None:
        """Changes the table while it is being read, in one short transaction.

        It gives up its place in the lock queue after ``LOCK_WAIT_MS`` and tries again, so that
        readers never wait behind it.

        Args:
            connection: in autocommit mode.
            change: executes the statements.

        Raises:
            TransientStoreError: the table was locked for ``CHANGE_SECONDS``; nothing has changed.
        """
        deadline = time.monotonic() + CHANGE_SECONDS
        wait = 0.05
        while True:
            try:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'")
                    change()
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                if time.monotonic() > deadline:
                    raise TransientStoreError(
                        f"{self.address} was locked by long queries for {CHANGE_SECONDS} s; it is "
                        "unchanged"
                    ) from error
                # Growing, jittered waits, so that waiting readers get their turn.
                time.sleep(random.uniform(wait / 2, wait))  # noqa: S311
                wait = min(wait * 2, 5.0)
            else:
                return

    def _create(self, connection: psycopg.Connection) -> None:
        if problems := _too_long(self.columns.names):
            raise PermanentStoreError(f"{self.address}: {'; '.join(problems)}")
        with connection.transaction():
            # Two first loads at once would both find no table, and collide.
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"taxi_platform {self.name.schema} tables"],
            )
            if self.find_columns(connection) is not None:
                return
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.name.schema))
            )
            partitioned = sql.SQL(
                f" PARTITION BY {self._partition_key}" * bool(self._partition_key)
            )
            connection.execute(
                sql.SQL("CREATE TABLE {} ({}){}").format(
                    self.identifier, column_definitions(self.columns), partitioned
                )
            )
            if self.time_column:
                connection.execute(
                    sql.SQL("CREATE INDEX ON {} USING brin ({})").format(
                        self.identifier, sql.Identifier(self.time_column)
                    )
                )
            self._describe(connection, self.columns.names)

    def _add(self, connection: psycopg.Connection, missing: list[str]) -> None:
        connection.execute(
            sql.SQL("ALTER TABLE {} {}").format(
                self.identifier,
                sql.SQL(", ").join(
                    # Another run may add it meanwhile.
                    sql.SQL("ADD COLUMN IF NOT EXISTS {} {}").format(
                        sql.Identifier(name), sql.SQL(postgres_type(self.columns.field(name).type))
                    )
                    for name in missing
                ),
            )
        )
        self._describe(connection, missing)

    def _describe(self, connection: psycopg.Connection, names: list[str]) -> None:
        for name in names:
            description = (self.columns.field(name).metadata or {}).get(b"description")
            if description:
                connection.execute(
                    sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                        self.identifier, sql.Identifier(name), sql.Literal(description.decode())
                    )
                )
