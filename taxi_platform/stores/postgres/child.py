"""A month's child table before it is attached: created, filled and indexed.

How it takes its place is the business of ``loads``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
from psycopg import sql

from taxi_platform.errors import TransientStoreError
from taxi_platform.stores.base import Report
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.table import TableName
from taxi_platform.trips.schema import DATA_FILE_MONTH

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi


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
    server: PostgresServer,
    table: TableName,
    columns: sql.Composed,
    month: date,
    incoming: Incoming,
    time_column: str | None,
) -> int:
    """Creates, fills and indexes a child table in one transaction; returns its row count.

    In one transaction, a server with ``wal_level=minimal`` writes no log of the copy. It locks no
    other table, so other writers do not wait for the copy.

    Args:
        server: the server.
        table: the child table; one that a killed run left behind is dropped.
        columns: its columns, which are the parent's.
        month: the first day of the only month that it may contain.
        incoming: its rows.
        time_column: the column that gets a BRIN index, if any.

    Raises:
        TransientStoreError: Postgres took another number of rows than expected.
    """
    with server.connect_arrow(autocommit=False) as connection, connection.cursor() as cursor:
        _create(cursor, table.identifier, columns, month)
        copied = copy_rows(cursor, table, incoming)
        _index(cursor, table.identifier, time_column)
        connection.commit()
    return copied


def copy_rows(cursor: "dbapi.Cursor", table: TableName, incoming: Incoming) -> int:
    """Appends rows to a table by binary COPY; returns how many rows Postgres copied.

    Args:
        cursor: of an Arrow connection.
        table: the table.
        incoming: the rows.

    Raises:
        TransientStoreError: Postgres took another number of rows than expected.
    """
    # Without the fields' metadata, which the driver does not need.
    bare = pa.schema([pa.field(field.name, field.type) for field in incoming.rows.schema])
    failed: list[Exception] = []
    of = "" if incoming.expected is None else f" of {incoming.expected:,}"

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        try:
            for batch in incoming.rows:
                yield batch.replace_schema_metadata()
                done += batch.num_rows
                incoming.report(f"{done:,}{of} rows copied")
        except Exception as error:
            # The driver would turn it into a Postgres error, which would look transient.
            failed.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(bare, batches())
    try:
        copied = int(
            cursor.adbc_ingest(table.name, reader, mode="append", db_schema_name=table.schema)
        )
    except Exception:
        if failed:
            raise failed[0] from None
        raise
    if incoming.expected not in (None, copied):
        raise TransientStoreError(
            f"{incoming.where} took {copied:,} rows of {incoming.expected:,}; the month is "
            "unchanged"
        )
    return copied


def _create(
    cursor: "dbapi.Cursor", table: sql.Identifier, columns: sql.Composed, month: date
) -> None:
    """Creates a table, not attached to any other, that can only contain this month."""
    for statement in (
        # The server may still be ending the transaction of a killed run.
        sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
            sql.Literal(f"taxi_platform {table.as_string()}")
        ),
        sql.SQL("DROP TABLE IF EXISTS {}").format(table),
        # Not LIKE the parent, which would lock the parent until the copy is done.
        sql.SQL(
            "CREATE TABLE {} ({}, CONSTRAINT file_month CHECK ({} IS NOT NULL AND {} = {}))"
        ).format(
            table,
            columns,
            sql.Identifier(DATA_FILE_MONTH),
            sql.Identifier(DATA_FILE_MONTH),
            sql.Literal(month),
        ),
    ):
        cursor.execute(statement.as_string())


def _index(cursor: "dbapi.Cursor", table: sql.Identifier, time_column: str | None) -> None:
    """Builds the index now, which attaching would otherwise build under the parent's lock."""
    if time_column:
        index = sql.SQL("CREATE INDEX ON {} USING brin ({})").format(
            table, sql.Identifier(time_column)
        )
        cursor.execute(index.as_string())
    cursor.execute(sql.SQL("ANALYZE {}").format(table).as_string())
