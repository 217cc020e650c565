"""Statistics of a month's rows, computed block by block.

The result does not depend on how rows are divided into blocks: counts, minimums, maximums and sums
in whole cents merge exactly. A sum of floats would depend on the order of addition.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import characters, numbers_of
from taxi_platform.trips.columns import DOLLARS
from taxi_platform.trips.types import trip_type

_EPOCH = date(1970, 1, 1)
_MICROSECONDS_OF_A_DAY = 86_400_000_000

_EXACT = 2.0**53

_MANY_DAYS = 1 << 16
"""Days are counted in an array if their range is smaller. Wrong clocks may exceed it."""

Extreme = int | float | str | datetime


@dataclass
class TripStatistics:
    """Statistics of a set of rows.

    Attributes:
        rows: number of rows.
        rows_by_day: rows by day of pickup, New York local time.
        nulls: missing values by column, without columns that have none.
        minimum: minimum by column, without columns that are all null.
        maximum: maximum by column, without columns that are all null.
        cents: sum by column of US dollars, in cents.
    """

    rows: int = 0
    rows_by_day: Counter[date] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    minimum: dict[str, Any] = field(default_factory=dict)
    maximum: dict[str, Any] = field(default_factory=dict)
    cents: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: pa.RecordBatch, color: str) -> Self:
        """Computes the statistics of a batch in the canonical schema of a color."""
        kind = trip_type(color)
        found = cls(rows=rows.num_rows)
        found.rows_by_day.update(_days(rows[kind.time_column]))
        for column in kind.columns:
            array = rows[column.name]
            if array.null_count:
                found.nulls[column.name] = array.null_count
            if array.null_count == len(array):
                continue
            if pa.types.is_floating(array.type) and array.null_count:
                array = array.drop_null()
            least, most = _extremes(array)
            found.minimum[column.name], found.maximum[column.name] = least, most
            if column.unit == DOLLARS:
                found.cents[column.name] = _cents_within(array, least, most)
        return found

    def add(self, other: "TripStatistics") -> None:
        """Merges the statistics of other rows into these."""
        self.rows += other.rows
        self.rows_by_day.update(other.rows_by_day)
        self.nulls.update(other.nulls)
        self.cents.update(other.cents)
        for name, value in other.minimum.items():
            self.minimum[name] = min(self.minimum.get(name, value), value)
        for name, value in other.maximum.items():
            self.maximum[name] = max(self.maximum.get(name, value), value)

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON types: times in ISO 8601, sums in cents."""
        return {
            "rows": self.rows,
            "rows_by_day": {
                day.isoformat(): self.rows_by_day[day] for day in sorted(self.rows_by_day)
            },
            "nulls": dict(sorted(self.nulls.items())),
            "minimum": {name: _plain(value) for name, value in sorted(self.minimum.items())},
            "maximum": {name: _plain(value) for name, value in sorted(self.maximum.items())},
            "cents": dict(sorted(self.cents.items())),
        }


def current_json(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the result of ``TripStatistics.to_json`` of an earlier version to the current form.

    Until 0.1, sums were text in dollars, under ``dollars``.
    """
    current = dict(statistics)
    if "cents" not in current:
        dollars = current.pop("dollars")
        current["cents"] = {name: int(Decimal(text) * 100) for name, text in dollars.items()}
    return current


def cents_of(amounts: pa.Array) -> int:
    """The exact sum of amounts in US dollars, in cents. Each amount is rounded to a cent first.

    Halves are rounded up, with the same arithmetic as the SQL of ``totals.cents_expression``.
    """
    amounts = amounts.drop_null() if amounts.null_count else amounts
    if not len(amounts):
        return 0
    return _cents_within(amounts, *_extremes(amounts))


def _cents_within(amounts: pa.Array, least: float, most: float) -> int:
    """``cents_of`` for amounts without nulls, whose extremes are known."""
    cents = numbers_of(amounts) * 100.0
    cents += 0.5
    np.floor(cents, out=cents)
    # A float sum of integers below 2^53 is exact, and saves converting them.
    if (max(-least, most) * 100 + 1) * len(cents) < _EXACT:
        return int(cents.sum())
    return int(cents.astype(np.int64).sum())


def _days(times: pa.Array) -> dict[date, int]:
    """Counts the times on each day. Arrow's kernels take four times as long."""
    numbers = numbers_of(times.drop_null()).view(np.int64) // _MICROSECONDS_OF_A_DAY
    if not len(numbers):
        return {}
    first, last = int(numbers.min()), int(numbers.max())
    if last - first < _MANY_DAYS:
        counts = np.bincount(numbers - first)
        days = np.flatnonzero(counts)
        return {
            _EPOCH + timedelta(days=first + d): n
            for d, n in zip(days.tolist(), counts[days].tolist(), strict=True)
        }
    distinct, often = np.unique(numbers, return_counts=True)
    return {
        _EPOCH + timedelta(days=d): n
        for d, n in zip(distinct.tolist(), often.tolist(), strict=True)
    }


def _extremes(array: pa.Array) -> tuple[Any, Any]:
    """The minimum and maximum. One value must not be null; floats must have no nulls."""
    if pa.types.is_floating(array.type):  # Arrow's kernel takes five times as long
        numbers = numbers_of(array)
        return float(numbers.min()) + 0.0, float(numbers.max()) + 0.0  # turns -0.0 into 0.0
    if pa.types.is_string(array.type) and (letters := characters(array, 1)) is not None:
        return chr(letters.min()), chr(letters.max())
    extremes = pc.min_max(array)
    return extremes["min"].as_py(), extremes["max"].as_py()


def _plain(value: Extreme) -> Any:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value
