"""The interface of table stores. Each store has a package of its own in this folder.

A store's package has the modules ``settings`` (its own variables), ``store`` (the implementation of
this interface), ``loads``, ``table``, ``types`` and ``errors``. Its ``__init__`` defines ``STORE``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from typing import Any, Protocol

import pyarrow as pa

from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.settings import StoreSettings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals

Report = Callable[[str], None]
"""Is called with the progress of a load, as text."""


@dataclass(frozen=True)
class Load:
    """The result of a replacement.

    Attributes:
        table: the table's full name, as SQL spells it.
        rows: rows in the replaced partition or table.
        url: the table's page for a browser, if there is one.
        details: further facts from the store, by name.
        type_name: the store's name of an Arrow type.
    """

    table: str
    rows: int
    url: str | None = None
    details: Mapping[str, str | int | bool] = field(default_factory=dict)
    type_name: Callable[[pa.DataType], str] = str


@dataclass(frozen=True)
class SqlDialect:
    """Expressions that stores write differently; all else in the marts' SQL is the same in all.

    Attributes:
        weekday: the day of the week of ``{time}``, 1 Monday to 7 Sunday.
        hour: the hour of ``{time}``, 0 to 23.
        start_hour: ``{time}`` without its minutes and seconds.
        duration: from ``{start}`` to ``{end}``, rounded to whole seconds, of a type that can be
            added up.
        is_plausible: whether ``{duration}`` is from 1 minute to 4 hours.
        seconds: a sum of ``{durations}`` as a number of seconds.
        text: ``{value}`` as a text: of whole numbers, dates and texts the same in every store.
        digest: of ``{text}``, the first 10 hexadecimal digits of its MD5.
        number: ``{digest}`` as an integer.
    """

    weekday: str
    hour: str
    start_hour: str
    duration: str
    is_plausible: str
    seconds: str
    text: str
    digest: str
    number: str


@dataclass(frozen=True)
class Relation:
    """A query that other queries name like a table.

    Attributes:
        sql: the query. It may name the relations before it.
        is_small: whether its rows are few, so that a store may compute them once for all queries.
    """

    sql: str
    is_small: bool


@dataclass(frozen=True)
class MonthQuery:
    """A query whose rows are a month of a table.

    Attributes:
        table: the table's name in the store, such as ``green_zone_days``.
        schema: the table's columns, with descriptions; the last is ``data_file_month``, which the
            query lacks.
        sql: a SELECT of the other columns, by name. It may name the relations that it is given.
        description: of the table.
    """

    table: str
    schema: pa.Schema
    sql: str
    description: str


@dataclass(frozen=True)
class View:
    """A view of several tables.

    Attributes:
        name: of the view in the store.
        sql: a query of the tables by their ``quoted_name``.
        tables: the names of the tables in the store.
        columns: the names of its columns, in order.
        description: for people.
    """

    name: str
    sql: str
    tables: Sequence[str]
    columns: Sequence[str]
    description: str


@dataclass(frozen=True)
class Answer:
    """A query's result, which can be read once and is never in memory whole.

    Attributes:
        schema: the names of the columns, which may repeat, and their Arrow types. A column of a
            type that Arrow lacks is a string.
        batches: the rows, some thousand at a time, with Python's values.
    """

    schema: pa.Schema
    batches: Iterator[Sequence[Sequence[Any]]]


class TableStore(Protocol):
    """Tables of months, each month replaced whole or not at all.

    Every method raises ``PermanentStoreError`` or ``TransientStoreError`` if the store refuses or
    cannot be reached, and does not retry.
    """

    @property
    def address(self) -> str:
        """The store's address, for messages; without secrets."""
        ...

    def table_name(self, table: str) -> str:
        """A table's full name, as SQL spells it."""
        ...

    def quoted_name(self, table: str) -> str:
        """A table's full name for statements, quoted."""
        ...

    def replace_month(self, trips: Any, report: Report) -> Load:
        """Replaces a month of trips by a cleaned file or its object (see ``StoreType.reads``).

        Args:
            trips: the file or object.
            report: called with the progress.
        """
        ...

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        """Replaces a month of a derived table, or all of it.

        The first load creates the table. Later loads add missing columns.

        Args:
            table: its name in the store, such as ``green_tips``.
            month: the first day of the month to replace, which is in the column
                ``data_file_month`` of each row, or None to replace the whole table.
            rows: the new rows; of ``stores.rows.storable`` types.
        """
        ...

    def totals(self, month: TripMonth) -> MonthTotals:
        """Rows of a month of trips in the table, and the sum of each amount."""
        ...

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month of trips, batch by batch, with the selected columns or all.

        Raises:
            ValueError: a name is not a column of the color.
        """
        ...

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month of a derived table, or all of them, batch by batch."""
        ...

    def query(self, statement: str, limit: int | None) -> AbstractContextManager[Answer]:
        """The result of one statement that only reads, to be read within a ``with`` block.

        Args:
            statement: the SQL.
            limit: at most so many rows, of which no more are fetched; None for all.
        """
        ...

    def replace_by_queries(
        self, month: date, relations: Mapping[str, Relation], queries: Sequence[MonthQuery]
    ) -> list[Load]:
        """Replaces a month of several tables by what queries answer, each whole or not at all.

        The store computes the rows. If the trips are replaced meanwhile, they may be of the old
        month or of the new one; the checks of the marts notice.

        Args:
            month: its first day.
            relations: what the queries name like tables, by name.
            queries: what to replace, and by what.

        Returns:
            The result of each query, in their order.
        """
        ...

    def existing_tables(self, names: Sequence[str]) -> set[str]:
        """Those of the tables that exist."""
        ...

    def ensure_view(self, view: View) -> None:
        """Creates a view, or replaces it if it is not like this."""
        ...

    def check_access(self) -> None:
        """Tries the operations of a load, and raises the first error."""
        ...

    def has_table(self, color: str) -> bool:
        """Whether a color has a table yet; raises if the table does not fit the schema."""
        ...

    def loaded_months(self, color: str) -> set[TripMonth]:
        """The months of a color that have rows; none if there is no table yet."""
        ...

    def leftovers(self, *, drop: bool = False) -> list[str]:
        """Tables that killed runs left behind, and no run is writing now; optionally drops them."""
        ...


def imported_when_opened(name: str) -> Callable[[Any], AbstractContextManager[TableStore]]:
    """A store's ``open``, imported at its first call: clients are slow to import.

    Args:
        name: module and function, such as ``taxi_platform.stores.postgres.store:open_store``.
    """

    def open_store(chosen: Any) -> AbstractContextManager[TableStore]:
        module, _, function = name.partition(":")
        store: AbstractContextManager[TableStore] = getattr(import_module(module), function)(chosen)
        return store

    return open_store


@dataclass(frozen=True)
class StoreType:
    """A kind of store, from which its assets, checks, commands and settings are derived.

    Attributes:
        name: in lower case; names the asset (``postgres_trips``), the pool and the IO manager.
        label: its name for people.
        description: of its asset.
        kinds: Dagster's kinds of its asset.
        reads: what it loads: the cleaned file, or its object in GCS.
        settings: its environment variables.
        open: opens the store with these settings, within a ``with`` block.
        dialect: its SQL, for the marts; a store without has none.
    """

    name: str
    label: str
    description: str
    kinds: frozenset[str]
    reads: type[TripParquet] | type[TripObject]
    settings: type[StoreSettings]
    open: Callable[[Any], AbstractContextManager[TableStore]]
    dialect: SqlDialect | None = None

    @property
    def reads_gcs(self) -> bool:
        """Whether it loads objects, and therefore needs GCS."""
        return self.reads is TripObject

    @property
    def asset(self) -> str:
        """The name of its asset."""
        return f"{self.name}_trips"
