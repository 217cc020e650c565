"""Detects columns that a file lacks although every file of its month has them.

A column is null in the eras that did not publish it. If a file lacks a column that its era
published, the column was most likely renamed, and would silently be null in every row.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taxi_platform.trips.columns import Column
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import listed, shown
from taxi_platform.trips.schema import ColumnMap, normalize_name
from taxi_platform.trips.types import trip_type

_MIN_SIMILARITY = 0.6
"""Minimum similarity of two names, 0 to 1, for a message to suggest one for the other."""


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
        return (
            f"no column for {', '.join(map(self._with_nearest, self.columns))}, which files of "
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

    def _with_nearest(self, column: Column) -> str:
        nearest = nearest_name(column, self.unknown)
        return column.name if nearest is None else f"{column.name} (is it {shown(nearest)!r}?)"


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


def nearest_name(column: Column, names: Iterable[str]) -> str | None:
    """The name that is most similar to one of the column's names; None if none is similar."""
    by_bare = {_bare(name): name for name in names}
    own = [_bare(name) for name in (column.name, *column.published_as)]
    best: tuple[float, str] | None = None
    for bare, name in by_bare.items():
        alike = max(difflib.SequenceMatcher(None, bare, other).ratio() for other in own)
        if alike >= _MIN_SIMILARITY and (best is None or alike > best[0]):
            best = (alike, name)
    return best[1] if best else None


def _bare(name: str) -> str:
    return "".join(c for c in normalize_name(name)[:100] if c.isalnum())
