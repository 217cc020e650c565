"""A month's child table before it is attached: created, filled and indexed.

How it takes its place is the business of ``loads``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql
from psycopg.copy import LibpqWriter

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.base import Report
from taxi_platform.stores.postgres.months import MONTH_CHECK
from taxi_platform.stores.postgres.server import end_transaction
from taxi_platform.stores.postgres.table import PostgresTable, TableName
from taxi_platform.trips.schema import DATA_FILE_MONTH

BATCH_ROWS = 8_192
"""Some 2 MB in COPY: the server processes one batch while the next is encoded."""


@dataclass(frozen=True)
class Incoming:
    """Rows to copy into a table.

    Attributes:
        where: partition and server, for messages.
        rows: the rows; columns of the table that they lack become null.
        expected: how many there are, if that is known beforehand.
        report: called with the progress of the copy.
    """

    where: str
    rows: pa.RecordBatchReader
    expected: int | None
    report: Report


def fill_child(
    connection: psycopg.Connection,
    parent: PostgresTable,
    table: TableName,
    columns: Mapping[str, str],
    month: date,
    incoming: Incoming,
) -> int:
    """Creates, fills and indexes a child table; returns its row count.

    In one transaction, a server with ``wal_level=minimal`` writes no log of the copy. It locks no
    other table, so other writers do not wait for the copy.

    Args:
        connection: in a transaction.
        parent: the table of all months.
        table: the child table; one that a run of an earlier version left behind is dropped.
        columns: its columns and their types, which are the parent's.
        month: the first day of the only month that it may contain.
        incoming: its rows.

    Raises:
        PermanentStoreError: a row does not fit the table.
        TransientStoreError: Postgres took another number of rows than expected.
    """
    _create(connection, parent.name, table.identifier, columns, month)
    copied = copy_rows(connection, table, incoming)
    _index(connection, parent.name, table.identifier)
    return copied


def copy_rows(connection: psycopg.Connection, table: TableName, incoming: Incoming) -> int:
    """Appends rows to a table by binary COPY; returns how many rows Postgres copied.

    Raises:
        PermanentStoreError: a value is out of Postgres' range.
        TransientStoreError: Postgres took another number of rows than expected.
    """
    schema = incoming.rows.schema.remove_metadata()
    encoder = ArrowToPostgresBinaryEncoder(schema)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        table.identifier, sql.SQL(", ").join(map(sql.Identifier, schema.names))
    )
    of = "" if incoming.expected is None else f" of {incoming.expected:,}"
    done = 0
    with connection.cursor() as cursor:
        with cursor.copy(statement, writer=_Writer(cursor)) as copy:
            copy.write(encoder.write_header())
            for batch in _small(incoming.rows):
                copy.write(_encoded(encoder, batch, incoming.where))
                done += batch.num_rows
                incoming.report(f"{done:,}{of} rows copied")
            copy.write(encoder.finish())
        copied = cursor.rowcount
    if copied != (done if incoming.expected is None else incoming.expected):
        raise TransientStoreError(
            f"{incoming.where} took {copied:,} rows of {incoming.expected or done:,}; the month is "
            "unchanged"
        )
    return copied


class _Writer(LibpqWriter):
    """Does not wait for the server if the process is interrupted: it may be out of reach."""

    def finish(self, exc: BaseException | None = None) -> None:
        if exc is None or isinstance(exc, Exception):
            super().finish(exc)
        else:
            end_transaction(self.connection)
            self.connection.close()


def _small(rows: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """The rows in batches of which several fit in memory."""
    for batch in rows:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS).replace_schema_metadata()


def _encoded(encoder: ArrowToPostgresBinaryEncoder, batch: pa.RecordBatch, where: str) -> bytes:
    try:
        return encoder.write_batch(batch)
    except ValueError as error:
        raise PermanentStoreError(
            f"{where}: Postgres cannot store a value ({error}); the month is unchanged"
        ) from error


def _create(
    connection: psycopg.Connection,
    parent: TableName,
    table: sql.Identifier,
    columns: Mapping[str, str],
    month: date,
) -> None:
    """Creates a table, not attached to any other, that can only contain this month."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    parts: list[sql.Composable] = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(is_type))
        for name, is_type in columns.items()
    ]
    parts.append(
        sql.SQL("CONSTRAINT {} CHECK ({column} IS NOT NULL AND {column} = {month})").format(
            sql.Identifier(MONTH_CHECK),
            column=sql.Identifier(DATA_FILE_MONTH),
            month=sql.Literal(month),
        )
    )
    # Attaching compares them by name.
    parts += [
        sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(name), sql.SQL(definition))
        for name, definition in connection.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = to_regclass(%s) AND contype = 'c' ORDER BY conname",
            [parent.quoted],
        )
    ]
    # Not LIKE the parent, which would lock the parent until the copy is done.
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(parts)))


def _index(connection: psycopg.Connection, parent: TableName, table: sql.Identifier) -> None:
    """Builds the parent's indexes; attaching would build them while readers wait."""
    constraints = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = to_regclass(%s) AND contype IN ('p', 'u', 'x') ORDER BY oid",
        [parent.quoted],
    ).fetchall()
    for (definition,) in constraints:
        connection.execute(sql.SQL("ALTER TABLE {} ADD {}").format(table, sql.SQL(definition)))
    # The definition of an index begins with its name and table, which are another's here.
    indexes = connection.execute(
        "SELECT indisunique, substr(pg_get_indexdef(indexrelid), "
        "length(format('CREATE %%sINDEX %%I ON ONLY %%s USING ', "
        "CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END, relname, "
        "format('%%I.%%I', %(schema)s::text, %(name)s::text))) + 1) "
        "FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "WHERE indrelid = to_regclass(%(parent)s) "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY relname",
        {"parent": parent.quoted, "schema": parent.schema, "name": parent.name},
    ).fetchall()
    for unique, definition in indexes:
        connection.execute(
            sql.SQL("CREATE {}INDEX ON {} USING {}").format(
                sql.SQL("UNIQUE " if unique else ""), table, sql.SQL(definition)
            )
        )
    connection.execute(sql.SQL("ANALYZE {}").format(table))
