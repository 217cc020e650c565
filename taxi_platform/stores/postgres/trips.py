"""Trip tables in Postgres, one a color, a child table a month.

A month is copied into a new table of its own, which nobody sees, and then takes the place of the
old one in one short transaction. Readers see the old month or the new one, and never wait behind
a load.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa
from psycopg import errors, sql

from taxi_platform.errors import PermanentStoreError, StoreError, TransientStoreError
from taxi_platform.landing.atomic_files import WRITER_WAIT_SECONDS
from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.postgres.child import fill_child
from taxi_platform.stores.postgres.server import (
    PostgresServer,
    postgres_error,
)
from taxi_platform.stores.postgres.table import ColorTable
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, chosen_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns
from taxi_platform.trips.types import TRIP_TYPES

INCOMING = "_incoming"
"""What the name of a child table ends in until it has taken its place."""


if TYPE_CHECKING:
    # Imported where it is used: it brings pandas, and polars where that is installed.
    from adbc_driver_manager import dbapi


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
        incoming = f"{child}{INCOMING}"
        with self._errors(str(month), self.table_name(month.color)), self._connect() as connection:
            self._lock_month(connection, month)
            parent = self._color_table(month.color, str(month))
            columns = parent.ensure(connection)
            rows = fill_child(self.server, self.schema, incoming, columns, trips, report)
            parent.change_quickly(
                connection, lambda: self._exchange(connection, parent, month, child, incoming)
            )
        return PostgresLoad(self.table_name(month.color), f"{self.schema}.{child}", rows)

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month, with the chosen canonical columns or all, batch by batch.

        Memory stays flat. The connection is held until the stream has been read or dropped.

        Raises:
            ValueError: a name is no column of the color.
            PermanentStoreError: there is no such table; while the stream is read.
            TransientStoreError: Postgres cannot be reached; likewise.
        """
        schema = chosen_schema(month.color, names)
        query = sql.SQL("SELECT {} FROM {} WHERE {} = {}").format(
            sql.SQL(", ").join(map(sql.Identifier, schema.names)),
            sql.Identifier(self.schema, f"{month.color}_trips"),
            sql.Identifier(DATA_FILE_MONTH),
            sql.Literal(month.month),
        )

        def batches() -> Iterator[pa.RecordBatch]:
            with (
                self._errors(str(month), self.table_name(month.color)),
                self._adbc() as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(query.as_string())
                for batch in cursor.fetch_record_batch():
                    yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def totals(self, month: TripMonth) -> MonthTotals:
        """What the table holds of a month: its rows, and the sum of each amount.

        Raises:
            PermanentStoreError: there is no such table.
            TransientStoreError: Postgres cannot be reached.
        """
        names = dollar_columns(month.color)
        sums = [
            sql.SQL("sum({})").format(sql.SQL(cents_expression(f'"{name}"', "bigint")))
            for name in names
        ]
        query = sql.SQL("SELECT count(*), {} FROM {} WHERE {} = {}").format(
            sql.SQL(", ").join(sums),
            sql.Identifier(self.schema, f"{month.color}_trips"),
            sql.Identifier(DATA_FILE_MONTH),
            sql.Literal(month.month),
        )
        with self._errors(str(month), self.table_name(month.color)), self._connect() as connection:
            row = connection.execute(query).fetchone() or ()
        rows, *cents = row
        return MonthTotals(rows, {n: int(c or 0) for n, c in zip(names, cents, strict=True)})

    def prove_usable(self) -> None:
        """Connects, and asks whether tables may be made.

        Raises:
            PermanentStoreError: Postgres refuses the user, or the user may not make tables.
            TransientStoreError: Postgres cannot be reached.
        """
        with self._errors("trips", self.schema), self._connect() as connection:
            row = connection.execute(
                "SELECT CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s) "
                "THEN has_schema_privilege(%(schema)s, 'CREATE') "
                "ELSE has_database_privilege(current_database(), 'CREATE') END",
                {"schema": self.schema},
            ).fetchone()
        if row is None or not row[0]:
            raise PermanentStoreError(
                f"trips: Postgres at {self.server.address}: user {self.server.user} may not make "
                f"tables in schema {self.schema}: GRANT CREATE to that user"
            )

    def has_table(self, color: str) -> bool:
        """Whether a color has a table, which the first load makes.

        Raises:
            PermanentStoreError: it does not fit the schema.
            TransientStoreError: Postgres cannot be reached.
        """
        with self._errors(f"{color} trips", self.table_name(color)), self._connect() as connection:
            table = self._color_table(color, f"{color} trips")
            return table.find_columns(connection) is not None

    def abandoned(self, *, drop: bool = False) -> list[str]:
        """Tables that killed runs left, unattached: of months that nobody is writing now.

        Args:
            drop: drop them, too. The next run of their month would.

        Raises:
            TransientStoreError: Postgres cannot be reached.
        """
        found = []
        with self._errors("trips", self.schema), self._connect() as connection:
            for color in TRIP_TYPES:
                names = connection.execute(
                    "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                    "WHERE nspname = %s AND relname ~ %s ORDER BY 1",
                    [self.schema, rf"^{color}_trips_\d{{4}}_\d\d{INCOMING}$"],
                ).fetchall()
                for (name,) in names:
                    year, month = name.removesuffix(INCOMING).split("_")[-2:]
                    which = TripMonth(color, date(int(year), int(month), 1))
                    if self._try_to_lock(connection, which):
                        found.append(f"{self.schema}.{name}")
                        if drop:
                            table = sql.Identifier(self.schema, name)
                            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        return found

    def _color_table(self, color: str, subject: str) -> ColorTable:
        return ColorTable(self.schema, color, f"{subject}: Postgres at {self.server.address}")

    def _connect(self) -> psycopg.Connection:
        # Committing as it goes: the advisory lock outlives transactions, and the parent must be
        # there for other months at once.
        return psycopg.connect(self.server.conninfo, autocommit=True)

    def _adbc(self) -> "dbapi.Connection":
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(self.server.conninfo, autocommit=True)

    def _lock_month(self, connection: psycopg.Connection, month: TripMonth) -> None:
        """One writer a month, for as long as the connection lives, killed processes included."""
        deadline = time.monotonic() + WRITER_WAIT_SECONDS
        while not self._try_to_lock(connection, month):
            if time.monotonic() > deadline:
                raise TransientStoreError(
                    f"{month}: another run has been writing this month into Postgres at "
                    f"{self.server.address} for {WRITER_WAIT_SECONDS} s; try again when it ended"
                )
            time.sleep(random.uniform(0.2, 0.6))  # noqa: S311

    def _try_to_lock(self, connection: psycopg.Connection, month: TripMonth) -> bool:
        name = f"taxi_platform {self.schema} {month.key}"
        got = connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]
        ).fetchone()
        return bool(got and got[0])

    def _exchange(
        self,
        connection: psycopg.Connection,
        parent: ColorTable,
        month: TripMonth,
        child: str,
        incoming: str,
    ) -> None:
        old, new = sql.Identifier(self.schema, child), sql.Identifier(self.schema, incoming)
        # At once the strongest lock that any step needs: taking a weaker one first, and then more,
        # is how two writers of different months would deadlock.
        connection.execute(
            sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent.identifier)
        )
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(old))
        connection.execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, sql.Identifier(child))
        )
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                parent.identifier, old, sql.Literal(month.month)
            )
        )

    @contextmanager
    def _errors(self, subject: str, table: str) -> Iterator[None]:
        """Maps Postgres' errors: by their SQLSTATE class, or by having none (no connection)."""
        store = f"{subject}: Postgres at {self.server.address}, {table}"
        try:
            yield
        except StoreError:
            raise
        except errors.DatatypeMismatch as error:
            raise TransientStoreError(
                f"{store}: the table gained columns while the month was copied; the month is as "
                "it was"
            ) from error
        except (psycopg.Error, adbc.Error) as error:
            raise postgres_error(error, store) from error


def _child_name(month: TripMonth) -> str:
    return f"{month.color}_trips_{month.month:%Y_%m}"
