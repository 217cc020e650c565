"""Detects columns that a file lacks although every file of its month has them.

A column is null in the eras that did not publish it. If a file lacks a column that its era
published, the column was most likely renamed, and would silently be null in every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from taxi_platform.trips.column_names import with_nearest_name
from taxi_platform.trips.columns import Column
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import listed
from taxi_platform.trips.schema import ColumnMap
from taxi_platform.trips.types import trip_type


@dataclass(frozen=True)
class LostColumns:
    """Columns that a file lacks although every file of its month has them.

    Attributes:
        month: the file's month.
        columns: the missing columns.
        unknown: names in the file's header that the schema does not know.
    """

    month: TripMonth
    columns: tuple[Column, ...]
    unknown: tuple[str, ...]

    def refusal(self) -> str:
        """Why the file is refused, and what to do; sentences without the file's name."""
        named = [column.name for column in self.columns]
        missing = ", ".join(with_nearest_name(column, self.unknown) for column in self.columns)
        return (
            f"no column for {missing}, which files of "
            f"{self.month} have; unknown columns: {listed(self.unknown) or 'none'}. Rename the "
            "column to a known name (docs/data.md); if the file was published without it, set "
            f"missing_columns to {named}"
        )

    def remark(self) -> str:
        """The warning for a file that is accepted without these columns."""
        return (
            f"no column for {', '.join(c.name for c in self.columns)}, which files of "
            f"{self.month} have: null in every row"
        )


def lost_columns(
    found: ColumnMap, month: TripMonth, accepted: Sequence[str] = ()
) -> LostColumns | None:
    """The columns that a file lacks although its month has them; None if it lacks none.

    Args:
        found: how the file's header was mapped.
        month: the file's month.
        accepted: columns that the file may lack.
    """
    there = {column.name for column in found.mapped.values()}
    lost = tuple(
        column
        for column in trip_type(month.color).columns
        if column.name not in there
        and column.name not in accepted
        and column.always is not None
        and column.always.since <= month.month <= column.always.until
        and there.isdisjoint(column.always.unless)
    )
    return LostColumns(month, lost, found.unknown) if lost else None
