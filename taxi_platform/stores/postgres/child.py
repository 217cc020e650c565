"""A month's child table in Postgres before it takes its place: made, filled and indexed, unseen.

How it takes its place is the business of ``postgres``.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from taxi_platform.errors import TransientStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.trip_batches import batches_ahead
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, trip_schema

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi

BATCH_ROWS = 8_192
"""Some 2 MB as COPY sends them: the server works on one batch while the next is encoded."""


def fill_child(
    server: PostgresServer,
    schema: str,
    name: str,
    columns: sql.Composed,
    trips: TripParquet,
    report: Callable[[int], None],
) -> int:
    """Makes, fills and indexes a child table in one transaction, and gives its rows.

    One transaction, so that a server with ``wal_level=minimal`` writes no log of the copy. It
    touches no other table, whose writers it would hold up for as long as the copy takes.

    Args:
        server: where.
        schema: of Postgres.
        name: of the table; one that a killed run left is dropped.
        columns: its columns, those of the parent.
        trips: the cleaned file.
        report: told the rows handed to Postgres so far.

    Raises:
        TransientStoreError: Postgres took another number of rows than the file holds.
    """
    table = sql.Identifier(schema, name)
    with _connect(server) as connection, connection.cursor() as cursor:
        _create(cursor, table, columns, trips.month)
        rows = _copy(cursor, schema, name, trips, report)
        if rows != trips.rows:
            raise TransientStoreError(
                f"{trips.month}: Postgres at {server.address} took {rows:,} rows of "
                f"{trips.rows:,}; the month is as it was"
            )
        _index(cursor, table)
        connection.commit()
    return rows


def _connect(server: PostgresServer) -> "dbapi.Connection":
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(server.conninfo, autocommit=False)


def _create(
    cursor: "dbapi.Cursor", table: sql.Identifier, columns: sql.Composed, month: TripMonth
) -> None:
    """A new table, attached to nothing, that can only hold this month."""
    name = table.as_string()
    for statement in (
        # The server may still be ending the transaction of a run that was killed.
        sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
            sql.Literal(f"taxi_platform {name}")
        ),
        sql.SQL("DROP TABLE IF EXISTS {}").format(table),
        # Not LIKE the parent, which would lock that until the copy is done.
        sql.SQL(
            "CREATE TABLE {} ({}, CONSTRAINT file_month CHECK ({} IS NOT NULL AND {} = {}))"
        ).format(
            table,
            columns,
            sql.Identifier(DATA_FILE_MONTH),
            sql.Identifier(DATA_FILE_MONTH),
            sql.Literal(month.month),
        ),
    ):
        cursor.execute(statement.as_string())


def _copy(
    cursor: "dbapi.Cursor",
    schema: str,
    name: str,
    trips: TripParquet,
    report: Callable[[int], None],
) -> int:
    types = trip_schema(trips.month.color)

    def batches(file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in batches_ahead(file, names, BATCH_ROWS):
            yield batch.replace_schema_metadata()
            done += batch.num_rows
            report(done)

    with pq.ParquetFile(trips.path, pre_buffer=False) as file:
        # What the month lacks altogether is null without being sent.
        names = trips.columns_with_values
        # Without field metadata, which the driver would have to carry.
        bare = pa.schema([pa.field(column, types.field(column).type) for column in names])
        reader = pa.RecordBatchReader.from_batches(bare, batches(file, names))
        return int(cursor.adbc_ingest(name, reader, mode="append", db_schema_name=schema))


def _index(cursor: "dbapi.Cursor", table: sql.Identifier) -> None:
    """Builds here, unseen, what attaching would otherwise build under the parent's lock."""
    index = sql.SQL("CREATE INDEX ON {} USING brin (pickup_datetime)").format(table)
    cursor.execute(index.as_string())
    cursor.execute(sql.SQL("ANALYZE {}").format(table).as_string())
