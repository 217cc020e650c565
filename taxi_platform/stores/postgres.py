"""Trip tables in Postgres, one a color, a child table a month.

A month is copied into a new table of its own, which nobody sees, and then takes the place of the
old one in one short transaction. Readers see the old month or the new one, and never wait behind
a load: the exchange gives up its place in the queue after ``LOCK_WAIT_MS`` and tries again.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import adbc_driver_manager.dbapi as adbc
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import errors, sql

from taxi_platform.stores.errors import PermanentStoreError, StoreError, TransientStoreError
from taxi_platform.stores.files import TripParquet
from taxi_platform.stores.postgres_server import (
    PostgresServer,
    column_definitions,
    postgres_error,
)
from taxi_platform.stores.trip_batches import batches_ahead, columns_with_values
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, columns, trip_schema

LOCK_WAIT_MS = 400
"""How long the exchange may stand in the table's lock queue, with readers behind it."""

EXCHANGE_SECONDS = 300
"""How long the exchange is tried before the step fails, to be retried."""

WRITER_WAIT_SECONDS = 900
"""How long a second writer of the same month waits for the first."""

BATCH_ROWS = 8_192
"""Some 2 MB as COPY sends them: the server works on one batch while the next is encoded."""


@dataclass(frozen=True)
class PostgresLoad:
    """What a replacement did: the table, the month's child table, and the rows in it."""

    table: str
    child: str
    rows: int


class PostgresTrips:
    """The trip tables of one schema."""

    def __init__(self, server: PostgresServer, schema: str = "trips") -> None:
        self.server = server
        self.schema = schema

    def table_name(self, color: str) -> str:
        """``schema.table`` of a color."""
        return f"{self.schema}.{color}_trips"

    def replace_month(
        self, trips: TripParquet, report: Callable[[int], None] = lambda _: None
    ) -> PostgresLoad:
        """Replaces a month by a cleaned file.

        Args:
            trips: the cleaned file.
            report: told the rows handed to Postgres so far.

        Raises:
            PermanentStoreError: Postgres refuses the user, the table or the rows.
            TransientStoreError: Postgres cannot be reached, or a lock is held too long.
        """
        month = trips.month
        child = _child_name(month)
        incoming = f"{child}_incoming"
        with self._errors(month), self._connect() as connection:
            self._lock_month(connection, month)
            self._ensure_parent(connection, month.color)
            rows = self._fill(trips, incoming, report)
            self._exchange(connection, month, child, incoming)
        return PostgresLoad(self.table_name(month.color), f"{self.schema}.{child}", rows)

    def read_month(self, month: TripMonth, names: Sequence[str] | None = None) -> pa.Table:
        """The rows of a month, with the chosen canonical columns or all, as Arrow.

        Raises:
            PermanentStoreError: there is no such table or column.
            TransientStoreError: Postgres cannot be reached.
        """
        schema = trip_schema(month.color)
        chosen = list(names) if names is not None else schema.names
        if unknown := [n for n in chosen if n not in schema.names]:
            raise PermanentStoreError(f"{month}: Postgres: no column {', '.join(unknown)}")
        query = sql.SQL("SELECT {} FROM {} WHERE {} = {}").format(
            sql.SQL(", ").join(map(sql.Identifier, chosen)),
            sql.Identifier(self.schema, f"{month.color}_trips"),
            sql.Identifier(DATA_FILE_MONTH),
            sql.Literal(month.month),
        )
        with self._errors(month), self._adbc() as connection, connection.cursor() as cursor:
            cursor.execute(query.as_string())
            table: pa.Table = cursor.fetch_arrow_table()
        return table.cast(pa.schema([schema.field(name) for name in chosen]))

    def _connect(self) -> psycopg.Connection:
        # Committing as it goes: the advisory lock outlives transactions, and the parent must be
        # there for other months at once.
        return psycopg.connect(self.server.conninfo, autocommit=True)

    def _adbc(self, *, autocommit: bool = True) -> adbc.Connection:
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(self.server.conninfo, autocommit=autocommit)

    def _lock_month(self, connection: psycopg.Connection, month: TripMonth) -> None:
        """One writer a month, for as long as the connection lives, killed processes included."""
        name = f"taxi_platform {self.schema} {month.key}"
        deadline = time.monotonic() + WRITER_WAIT_SECONDS
        while True:
            got = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]
            ).fetchone()
            if got and got[0]:
                return
            if time.monotonic() > deadline:
                raise TransientStoreError(
                    f"{month}: another run has been writing this month into Postgres at "
                    f"{self.server.address} for {WRITER_WAIT_SECONDS} s; try again when it ended"
                )
            time.sleep(random.uniform(0.2, 0.6))  # noqa: S311

    def _ensure_parent(self, connection: psycopg.Connection, color: str) -> None:
        table = sql.Identifier(self.schema, f"{color}_trips")
        with connection.transaction():
            # Two first loads at once would both find nothing there and collide.
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"taxi_platform {self.schema} {color} tables"],
            )
            found = connection.execute(
                "SELECT to_regclass(%s) IS NOT NULL", [table.as_string(connection)]
            ).fetchone()
            if found and found[0]:
                return
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema))
            )
            connection.execute(
                sql.SQL("CREATE TABLE {} ({}) PARTITION BY LIST ({})").format(
                    table, column_definitions(trip_schema(color)), sql.Identifier(DATA_FILE_MONTH)
                )
            )
            connection.execute(
                sql.SQL("CREATE INDEX ON {} USING brin (pickup_datetime)").format(table)
            )
            for column in columns(color):
                connection.execute(
                    sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                        table, sql.Identifier(column.name), sql.Literal(column.description)
                    )
                )

    def _fill(self, trips: TripParquet, incoming: str, report: Callable[[int], None]) -> int:
        """Makes, fills and indexes the new table in one transaction, and gives its rows.

        One transaction, so that a server with ``wal_level=minimal`` writes no log of the copy.
        """
        month = trips.month
        with self._adbc(autocommit=False) as connection, connection.cursor() as cursor:
            self._create_incoming(cursor, incoming, month)
            rows = self._copy(cursor, trips, incoming, report)
            if rows != trips.rows:
                raise TransientStoreError(
                    f"{month}: Postgres at {self.server.address} took {rows:,} rows of "
                    f"{trips.rows:,}; {self.table_name(month.color)} is as it was"
                )
            self._index(cursor, incoming)
            connection.commit()
        return rows

    def _create_incoming(self, cursor: adbc.Cursor, incoming: str, month: TripMonth) -> None:
        """A new table like the parent, attached to nothing, that can only hold this month."""
        table = sql.Identifier(self.schema, incoming)
        for statement in (
            # The server may still be ending the transaction of a run that was killed.
            sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
                sql.Literal(f"taxi_platform {self.schema} {incoming}")
            ),
            # One may be left by a run that was killed; the advisory lock says that it is dead.
            sql.SQL("DROP TABLE IF EXISTS {}").format(table),
            sql.SQL(
                "CREATE TABLE {} (LIKE {}, "
                "CONSTRAINT file_month CHECK ({} IS NOT NULL AND {} = {}))"
            ).format(
                table,
                sql.Identifier(self.schema, f"{month.color}_trips"),
                sql.Identifier(DATA_FILE_MONTH),
                sql.Identifier(DATA_FILE_MONTH),
                sql.Literal(month.month),
            ),
        ):
            cursor.execute(statement.as_string())

    def _copy(
        self,
        cursor: adbc.Cursor,
        trips: TripParquet,
        incoming: str,
        report: Callable[[int], None],
    ) -> int:
        schema = trip_schema(trips.month.color)

        def batches(file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
            done = 0
            for batch in batches_ahead(file, names, BATCH_ROWS):
                yield batch.replace_schema_metadata()
                done += batch.num_rows
                report(done)

        with pq.ParquetFile(trips.path, pre_buffer=False) as file:
            # What the month lacks altogether is null without being sent.
            names = columns_with_values(file)
            # Without field metadata, which the driver would have to carry.
            bare = pa.schema([pa.field(name, schema.field(name).type) for name in names])
            reader = pa.RecordBatchReader.from_batches(bare, batches(file, names))
            return int(
                cursor.adbc_ingest(incoming, reader, mode="append", db_schema_name=self.schema)
            )

    def _index(self, cursor: adbc.Cursor, incoming: str) -> None:
        """Builds here, unseen, what attaching would otherwise build under the table's lock."""
        table = sql.Identifier(self.schema, incoming)
        cursor.execute(
            sql.SQL("CREATE INDEX ON {} USING brin (pickup_datetime)").format(table).as_string()
        )
        cursor.execute(sql.SQL("ANALYZE {}").format(table).as_string())

    def _exchange(
        self, connection: psycopg.Connection, month: TripMonth, child: str, incoming: str
    ) -> None:
        deadline = time.monotonic() + EXCHANGE_SECONDS
        wait = 0.05
        while True:
            try:
                self._exchange_once(connection, month, child, incoming)
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                if time.monotonic() > deadline:
                    raise TransientStoreError(
                        f"{month}: {self.table_name(month.color)} in Postgres at "
                        f"{self.server.address} was locked by long queries for "
                        f"{EXCHANGE_SECONDS} s; the month is as it was"
                    ) from error
                # Growing and jittered, so that the readers' queue drains in between.
                time.sleep(random.uniform(wait / 2, wait))  # noqa: S311
                wait = min(wait * 2, 5.0)
            else:
                return

    def _exchange_once(
        self, connection: psycopg.Connection, month: TripMonth, child: str, incoming: str
    ) -> None:
        parent = sql.Identifier(self.schema, f"{month.color}_trips")
        old, new = sql.Identifier(self.schema, child), sql.Identifier(self.schema, incoming)
        with connection.transaction():
            connection.execute(
                sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_WAIT_MS}ms"))
            )
            # At once the strongest lock that any step needs: taking a weaker one first, and
            # then more, is how two writers of different months would deadlock.
            connection.execute(
                sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent)
            )
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(old))
            connection.execute(
                sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, sql.Identifier(child))
            )
            connection.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                    parent, old, sql.Literal(month.month)
                )
            )

    @contextmanager
    def _errors(self, month: TripMonth) -> Iterator[None]:
        """Maps Postgres' errors: by their SQLSTATE class, or by having none (no connection)."""
        store = f"{month}: Postgres at {self.server.address}, {self.table_name(month.color)}"
        try:
            yield
        except StoreError:
            raise
        except (psycopg.Error, adbc.Error) as error:
            raise postgres_error(error, store) from error


def _child_name(month: TripMonth) -> str:
    return f"{month.color}_trips_{month.month:%Y_%m}"
