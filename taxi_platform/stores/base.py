"""What every store of trip tables is and does. Each store has a room of its own beside this.

A room holds ``settings`` (the store's own variables), ``store`` (what this module asks for),
``loads``, ``reads``, ``table``, ``types`` and ``errors``, and its ``__init__`` names it ``STORE``.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import pyarrow as pa

from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.settings import StoreSettings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals

Report = Callable[[str], None]
"""Called with the progress of a load, in words."""


@dataclass(frozen=True)
class Load:
    """What a replacement did.

    Attributes:
        table: the table's full name, as SQL spells it.
        rows: rows that the table holds of what was replaced.
        url: where people look at the table in a browser, if anywhere.
        details: what else the store says of it, by name.
    """

    table: str
    rows: int
    url: str | None = None
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a query gave: column names, the first rows, and whether there are more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


class TableStore(Protocol):
    """Tables of months, each month replaced whole or not at all.

    Every method raises ``PermanentStoreError`` or ``TransientStoreError`` where the store refuses
    or cannot be reached, and retries nothing.
    """

    @property
    def address(self) -> str:
        """Where the store is, for messages; without secrets."""
        ...

    def table_name(self, table: str) -> str:
        """A table's full name, as SQL spells it."""
        ...

    def replace_month(self, trips: Any, report: Report) -> Load:
        """Replaces a month of trips by a cleaned file or its object, as ``StoreType.reads`` says.

        Args:
            trips: the file or object.
            report: called with the progress.
        """
        ...

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        """Replaces a month of a derived table, or all of it.

        The table is made by the first load, and gains the columns that it lacks.

        Args:
            table: its name in the store, such as ``green_tips``.
            month: the first day of the month to replace, which is in the column
                ``data_file_month`` of each row, or None to replace the whole table.
            rows: the new rows; of ``stores.rows.storable`` types.
        """
        ...

    def totals(self, month: TripMonth) -> MonthTotals:
        """Rows of a month of trips, and the sum of each amount, as the table holds them."""
        ...

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month of trips, batch by batch, with the chosen columns or all.

        Raises:
            ValueError: a name is no column of the color.
        """
        ...

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month of a derived table, or all of them, batch by batch."""
        ...

    def query(self, statement: str, limit: int) -> Answer:
        """The answer to one statement that reads, at most so many rows of it."""
        ...

    def check_access(self) -> None:
        """Tries what a load needs, and raises what stands in its way."""
        ...

    def has_table(self, color: str) -> bool:
        """Whether a color has a table, which the first load makes; raises if it does not fit."""
        ...

    def leftovers(self, *, drop: bool = False) -> list[str]:
        """Tables that killed runs left, of months that nobody is writing now; dropped if asked."""
        ...


@dataclass(frozen=True)
class StoreType:
    """A kind of store: what the assets, checks, commands and settings of it are made from.

    Attributes:
        name: in lower case; names the asset (``postgres_trips``), the pool and the IO manager.
        label: its proper name.
        description: of its asset.
        kinds: Dagster's kinds of its asset.
        reads: what it loads, the cleaned file or its object in GCS.
        settings: its environment variables.
        open: gives the store that some settings describe, for as long as a block lasts.
    """

    name: str
    label: str
    description: str
    kinds: frozenset[str]
    reads: type[TripParquet] | type[TripObject]
    settings: type[StoreSettings]
    open: Callable[[Any], AbstractContextManager[TableStore]]

    @property
    def reads_gcs(self) -> bool:
        """Whether it loads objects, and so needs GCS."""
        return self.reads is TripObject

    @property
    def asset(self) -> str:
        """The name of its asset."""
        return f"{self.name}_trips"
