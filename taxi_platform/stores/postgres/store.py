"""Postgres as a table store: one table for each color, one child table for each month."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import pyarrow as pa
from psycopg import sql

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.trip_batches import open_batches
from taxi_platform.stores.base import Answer, Load, MonthQuery, Relation, Report, View
from taxi_platform.stores.postgres import loads, views
from taxi_platform.stores.postgres.child import BATCH_ROWS, Incoming
from taxi_platform.stores.postgres.errors import postgres_errors
from taxi_platform.stores.postgres.month_queries import answered
from taxi_platform.stores.postgres.months import filled_months
from taxi_platform.stores.postgres.queries import answer
from taxi_platform.stores.postgres.rights import missing_rights
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.settings import PostgresSettings
from taxi_platform.stores.postgres.table import PostgresTable, TableName, column_types
from taxi_platform.stores.postgres.types import arrow_type, postgres_type
from taxi_platform.stores.rows import storable, subject_of
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, chosen_schema, trip_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns
from taxi_platform.trips.types import trip_type


@contextmanager
def open_store(chosen: PostgresSettings) -> "Iterator[PostgresStore]":
    """The store with these settings. It connects for each call."""
    yield PostgresStore(PostgresServer.of(chosen), chosen.schema_name)


class PostgresStore:
    """The tables of one schema; see ``TableStore``."""

    def __init__(self, server: PostgresServer, schema: str = "trips") -> None:
        self.server = server
        self.schema = schema

    @property
    def address(self) -> str:
        """See ``TableStore.address``: ``host:port/database``."""
        return self.server.address

    def table_name(self, table: str) -> str:
        """See ``TableStore.table_name``: ``schema.table``."""
        return f"{self.schema}.{table}"

    def quoted_name(self, table: str) -> str:
        """See ``TableStore.quoted_name``: ``"schema"."table"``."""
        return TableName(self.schema, table).quoted

    def replace_month(self, trips: TripParquet, report: Report = lambda _: None) -> Load:
        """See ``TableStore.replace_month``: copies the file, and exchanges the child table.

        Raises:
            PermanentStoreError: Postgres refuses the user, the table or the rows.
            TransientStoreError: Postgres cannot be reached, or a table is locked for too long.
        """
        month = trips.month
        parent = self._trip_table(month.color, month)
        with postgres_errors(parent.address), open_batches(trips, BATCH_ROWS) as batches:
            incoming = Incoming(self._where(month), batches, trips.rows, report)
            child, rows = loads.replace_month(self.server, parent, month.month, incoming)
        return self._load(parent.name, rows, {"child_table": str(child)}, month.month)

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        """See ``TableStore.replace_rows``."""
        where = self._where(subject_of(table, month))
        rows = storable(where, rows)
        name = TableName(self.schema, table)
        target = PostgresTable(name, rows.schema, where, by_month=month is not None)
        incoming = Incoming(where, rows, None, lambda _: None)
        with postgres_errors(target.address):
            if month is None:
                return self._load(name, loads.replace_whole(self.server, target, incoming), {})
            child, count = loads.replace_month(self.server, target, month, incoming)
        return self._load(name, count, {"child_table": str(child)}, month)

    def replace_by_queries(
        self, month: date, relations: Mapping[str, Relation], queries: Sequence[MonthQuery]
    ) -> list[Load]:
        """See ``TableStore.replace_by_queries``.

        One transaction reads, and keeps the trips from being replaced meanwhile. Then each month's
        table is exchanged in a transaction of its own, as those of trips are.
        """
        with (
            postgres_errors(f"{self._where(f'marts of {month:%Y-%m}')}, {self.schema}"),
            self.server.transaction() as connection,
        ):
            answers = list(answered(connection, month, relations, queries))
        return [
            self.replace_rows(query.table, month, rows.to_reader())
            for query, rows in zip(queries, answers, strict=True)
        ]

    def existing_tables(self, names: Sequence[str]) -> set[str]:
        """See ``TableStore.existing_tables``."""
        with postgres_errors(f"{self._where('tables')}, {self.schema}"), self.server.connect() as c:
            return views.existing_tables(c, self.schema, names)

    def ensure_view(self, view: View) -> None:
        """See ``TableStore.ensure_view``."""
        name = TableName(self.schema, view.name)
        where = f"{self._where(f'view {view.name}')}, {name}"
        with postgres_errors(where), self.server.transaction() as connection:
            views.ensure_view(connection, where, name, view)

    def totals(self, month: TripMonth) -> MonthTotals:
        """See ``TableStore.totals``."""
        names = dollar_columns(month.color)
        sums = [
            sql.SQL("sum({})").format(sql.SQL(cents_expression(f'"{name}"', "bigint")))
            for name in names
        ]
        table = TableName(self.schema, _trips(month))
        query = _select(table, [sql.SQL("count(*)"), *sums], month.month)
        with postgres_errors(f"{self._where(month)}, {table}"), self.server.connect() as connection:
            row = connection.execute(query).fetchone() or ()
        rows, *cents = row
        return MonthTotals(rows, {n: int(c or 0) for n, c in zip(names, cents, strict=True)})

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """See ``TableStore.stream_month``.

        The connection stays open until the stream has been read or dropped.
        """
        return self._stream(_trips(month), month.month, chosen_schema(month.color, names))

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """See ``TableStore.stream_rows``."""
        name = TableName(self.schema, table)
        where = f"{self._where(subject_of(table, month))}, {name}"
        with postgres_errors(where), self.server.connect() as connection:
            found = column_types(connection, name)
        if not found:
            raise PermanentStoreError(f"{where}: there is no such table")
        known = {column: arrow_type(kind) for column, kind in found.items()}
        if unknown := [column for column in names or () if known.get(column) is None]:
            raise ValueError(f"{name} has no column {', '.join(unknown)}")
        chosen = names or [column for column, kind in known.items() if kind is not None]
        return self._stream(table, month, pa.schema([(column, known[column]) for column in chosen]))

    @contextmanager
    def query(self, statement: str, limit: int | None) -> Iterator[Answer]:
        """See ``TableStore.query``."""
        with (
            postgres_errors(self._where("query")),
            self.server.transaction() as connection,
            answer(connection, statement, limit) as found,
        ):
            yield found

    def check_access(self) -> None:
        """See ``TableStore.check_access``: connects, and asks for every right of a load."""
        with postgres_errors(self._where("trips")), self.server.transaction() as connection:
            missing = missing_rights(connection, self.schema)
        if missing:
            raise PermanentStoreError(
                f"trips: Postgres at {self.server.address}: the user {self.server.user} cannot "
                f"load: {'; '.join(missing)}"
            )

    def has_table(self, color: str) -> bool:
        """See ``TableStore.has_table``."""
        table = self._trip_table(color, f"{color} trips")
        with postgres_errors(table.address), self.server.connect() as connection:
            return table.find_columns(connection) is not None

    def loaded_months(self, color: str) -> set[TripMonth]:
        """See ``TableStore.loaded_months``."""
        table = self._trip_table(color, f"{color} trips")
        with postgres_errors(table.address), self.server.transaction() as connection:
            return {TripMonth(color, month) for month in filled_months(connection, table.name)}

    def leftovers(self, *, drop: bool = False) -> list[str]:
        """See ``TableStore.leftovers``: child tables that were never attached."""
        with postgres_errors(f"{self._where('trips')}, {self.schema}"):
            return loads.leftovers(self.server, self.schema, drop=drop)

    def _where(self, subject: object) -> str:
        return f"{subject}: Postgres at {self.address}"

    def _trip_table(self, color: str, subject: object) -> PostgresTable:
        return PostgresTable(
            TableName(self.schema, f"{color}_trips"),
            trip_schema(color),
            self._where(subject),
            time_column=trip_type(color).time_column,
        )

    def _load(
        self, table: TableName, rows: int, details: dict[str, str], month: date | None = None
    ) -> Load:
        which = f" WHERE {DATA_FILE_MONTH} = '{month}'" if month else ""
        query = f"SELECT * FROM {table}{which}"  # noqa: S608 (shown to people, not executed)
        return Load(
            f"{self.server.database}.{table}",
            rows,
            details=details | {"server": self.server.address, "query": query},
            type_name=postgres_type,
        )

    def _stream(self, table: str, month: date | None, schema: pa.Schema) -> pa.RecordBatchReader:
        name = TableName(self.schema, table)
        query = _select(name, [sql.Identifier(column) for column in schema.names], month)

        def batches() -> Iterator[pa.RecordBatch]:
            with (
                postgres_errors(f"{self._where(subject_of(table, month))}, {name}"),
                self.server.connect_arrow() as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(query.as_string())
                for batch in cursor.fetch_record_batch():
                    yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def _trips(month: TripMonth) -> str:
    return f"{month.color}_trips"


def _select(
    table: TableName, expressions: Sequence[sql.Composable], month: date | None
) -> sql.Composed:
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(expressions), table.identifier)
    if month is None:
        return query
    return sql.SQL("{} WHERE {} = {}").format(
        query, sql.Identifier(DATA_FILE_MONTH), sql.Literal(month)
    )
