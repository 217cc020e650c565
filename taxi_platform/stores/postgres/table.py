"""A table of months in Postgres: creates it, and adds columns of its schema.

``child`` and ``loads`` fill and exchange its months.
"""

from dataclasses import dataclass
from typing import NamedTuple

import psycopg
import pyarrow as pa
from psycopg import sql

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.postgres.changes import commit_quickly
from taxi_platform.stores.postgres.settings import LONGEST_NAME
from taxi_platform.stores.postgres.types import column_definitions, postgres_type
from taxi_platform.trips.schema import DATA_FILE_MONTH

HOW_TO_MIGRATE = (
    "Change that, or rename the table, then load its months again with a backfill; "
    "docs/guarantees.md, 'When the schema changes'"
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

    @property
    def quoted(self) -> str:
        """Both parts, quoted, for ``to_regclass``."""
        return self.identifier.as_string()

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def column_types(connection: psycopg.Connection, table: TableName) -> dict[str, str]:
    """The columns of a table of whatever shape, and what Postgres calls their types.

    Empty if there is no such table.
    """
    return {column.name: column.type for column in _columns(connection, table)}


class _Column(NamedTuple):
    name: str
    type: str
    collation: str
    not_null: bool
    generated: bool


def _columns(connection: psycopg.Connection, table: TableName) -> list[_Column]:
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), "
        "CASE WHEN c.oid IS NULL THEN '' ELSE format(' COLLATE %%I.%%I', nspname, collname) END, "
        "attnotnull, attgenerated <> '' FROM pg_attribute JOIN pg_type t ON t.oid = atttypid "
        "LEFT JOIN pg_collation c ON c.oid = attcollation AND attcollation <> typcollation "
        "LEFT JOIN pg_namespace n ON n.oid = collnamespace "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table.quoted],
    )
    return [_Column(*row) for row in rows]


def _obstacles(connection: psycopg.Connection, table: TableName) -> list[str]:
    """What a table of months has that would not hold for the months that are exchanged."""
    rows = connection.execute(
        "SELECT format('the trigger %%I does not fire for loaded rows (DROP TRIGGER)', tgname) "
        "FROM pg_trigger "
        "WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal AND tgtype & 4 > 0 "
        "UNION SELECT format('the foreign key %%I would keep readers waiting (DROP CONSTRAINT)', "
        "conname) "
        "FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND contype = 'f' "
        "UNION SELECT format('the foreign key %%I of %%s keeps its months from being replaced "
        "(DROP CONSTRAINT)', "
        "conname, conrelid::regclass) "
        "FROM pg_constraint WHERE confrelid = to_regclass(%(table)s) AND contype = 'f' ORDER BY 1",
        {"table": table.quoted},
    )
    return [what for (what,) in rows]


def has_schema(connection: psycopg.Connection, name: str) -> bool:
    """Whether the database has a schema of this name."""
    found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name])
    return found.fetchone() is not None


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

    def ensure(self, connection: psycopg.Connection) -> None:
        """Creates the table, or adds missing columns, which are null in old rows.

        Args:
            connection: in a transaction, which is committed.

        Raises:
            PermanentStoreError: the table does not fit the schema.
            TransientStoreError: it was locked for too long.
        """
        found = self.find_columns(connection)
        if found is None:
            self._create(connection)
            connection.commit()
        elif missing := [name for name in self.columns.names if name not in found]:
            commit_quickly(connection, self.address, self.identifier, self._adding(missing))

    def find_columns(self, connection: psycopg.Connection) -> dict[str, str] | None:
        """The table's columns and their definitions in SQL, None if there is no table.

        Raises:
            PermanentStoreError: the table does not fit the schema.
        """
        table = connection.execute(
            "SELECT pg_get_partkeydef(oid), relispartition FROM pg_class "
            "WHERE oid = to_regclass(%s)",
            [self.name.quoted],
        ).fetchone()
        if table is None:
            return None
        found = _columns(connection, self.name)
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
        for column in found:
            problems += self._problems(column)
        if self._partition_key:
            problems += _obstacles(connection, self.name)
        if problems:
            raise PermanentStoreError(
                f"{self.address} does not fit the schema: {'; '.join(problems)}. {HOW_TO_MIGRATE}"
            )
        return {column.name: f"{column.type}{column.collation}" for column in found}

    def _problems(self, column: _Column) -> list[str]:
        """Why a column cannot be loaded, or not into a month's table that is attached."""
        problems = []
        is_ours = column.name in self.columns.names
        if column.not_null and (self._partition_key or not is_ours):
            problems.append(f"{column.name} is NOT NULL (ALTER COLUMN … DROP NOT NULL)")
        if column.generated and (self._partition_key or is_ours):
            problems.append(f"{column.name} is generated (ALTER COLUMN … DROP EXPRESSION)")
        if is_ours:
            wanted = postgres_type(self.columns.field(column.name).type)
            if column.type != wanted:
                problems.append(
                    f"{column.name} is {column.type} and not {wanted} (ALTER COLUMN … TYPE)"
                )
        return problems

    def _create(self, connection: psycopg.Connection) -> None:
        if problems := _too_long(self.columns.names):
            raise PermanentStoreError(f"{self.address}: {'; '.join(problems)}")
        # Two first loads at once would both find no table, and collide.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"taxi_platform {self.name.schema} tables"],
        )
        if self.find_columns(connection) is not None:
            return
        # IF NOT EXISTS would ask for the right to create schemas even if there is one.
        if not has_schema(connection, self.name.schema):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.name.schema)))
        partitioned = sql.SQL(f" PARTITION BY {self._partition_key}" * bool(self._partition_key))
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
        for statement in self._descriptions(self.columns.names):
            connection.execute(statement)

    def _adding(self, missing: list[str]) -> list[sql.Composed]:
        columns = sql.SQL(", ").join(
            # Another run may add it meanwhile.
            sql.SQL("ADD COLUMN IF NOT EXISTS {} {}").format(
                sql.Identifier(name), sql.SQL(postgres_type(self.columns.field(name).type))
            )
            for name in missing
        )
        change = sql.SQL("ALTER TABLE {} {}").format(self.identifier, columns)
        return [change, *self._descriptions(missing)]

    def _descriptions(self, names: list[str]) -> list[sql.Composed]:
        described = {name: self.columns.field(name).metadata or {} for name in names}
        return [
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                self.identifier,
                sql.Identifier(name),
                sql.Literal(metadata[b"description"].decode()),
            )
            for name, metadata in described.items()
            if b"description" in metadata
        ]
