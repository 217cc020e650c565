"""Finds the first value of a block that could not be parsed, and describes it."""

import math
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.blocks import FirstFailure
from taxi_platform.trips.casting import LARGEST_AMOUNT
from taxi_platform.trips.columns import Column
from taxi_platform.trips.notes import shown
from taxi_platform.trips.units import describe_time


class FailureSearch:
    """Keeps the first failure: in the first row that has one, and there in the first column."""

    def __init__(self) -> None:
        self._position: int | None = None
        self._what: Callable[[], str] = str

    def add(self, bad: pa.BooleanArray, what: Callable[[int], str]) -> None:
        """Records failures of a column.

        Args:
            bad: mask of the rows that failed.
            what: describes the failure of the row at a position.
        """
        if not bad.true_count:
            return
        position = int(pc.indices_nonzero(bad)[0].as_py())
        if self._position is None or position < self._position:
            self._position = position
            self._what = lambda: what(position)

    def first(self, line_numbers: pa.Int64Array) -> FirstFailure | None:
        """The first failure; None if there was none."""
        if self._position is None:
            return None
        return FirstFailure(line_numbers[self._position].as_py(), self._what())


def bad_value(published: str, text: str, column: Column) -> str:
    """Describes a value that could not be parsed.

    Args:
        published: the column's name in the file.
        text: the value.
        column: the canonical column.
    """
    looks = describe_time(text) if pa.types.is_timestamp(column.type) else ""
    if pa.types.is_floating(column.type) and _is_too_large(text):
        looks = f"beyond {LARGEST_AMOUNT:,.0f}"
    said = f" ({looks})" if looks else ""
    return f"{shown(published)} has {shown(text)!r}{said}, expected {_kind(column)}"


def _is_too_large(text: str) -> bool:
    try:
        return LARGEST_AMOUNT < abs(float(text)) < math.inf
    except ValueError:
        return False


def _kind(column: Column) -> str:
    if pa.types.is_timestamp(column.type):
        return "a time such as 2024-01-31 18:05:00"
    if pa.types.is_integer(column.type):
        return "a whole number"
    return "a number" if pa.types.is_floating(column.type) else "a text"
