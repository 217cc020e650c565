"""Columns that a file must have because every file of its month has them.

A column that some era lacks is null in it. Where its era has it, a file without it has lost it,
most often because somebody renamed it, and it would be null throughout without a word.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taxi_platform.trips.columns import Column
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import listed, shown
from taxi_platform.trips.schema import ColumnMap, normalize_name
from taxi_platform.trips.types import trip_type

_NEAR = 0.6
"""How alike two names must be, 0 to 1, to be told in one breath."""


@dataclass(frozen=True)
class LostColumns:
    """Columns that the files of a month have and this one has not.

    Attributes:
        month: the month.
        columns: what is missing.
        unknown: names in the file that mean nothing to the schema.
    """

    month: TripMonth
    columns: tuple[Column, ...]
    unknown: tuple[str, ...]

    def refusal(self) -> str:
        """Why the file cannot be taken, and what to do; sentences without the file's name."""
        named = [column.name for column in self.columns]
        return (
            f"no column for {', '.join(map(self._with_nearest, self.columns))}, which {self.month} "
            f"has; unknown columns: {listed(self.unknown) or 'none'}. Give it a known name "
            f"(docs/data.md); if it was published without, set missing_columns to {named}"
        )

    def remark(self) -> str:
        """What to say where the file is taken all the same."""
        return (
            f"no column for {', '.join(c.name for c in self.columns)}, which {self.month} has: "
            "null throughout"
        )

    def _with_nearest(self, column: Column) -> str:
        nearest = nearest_name(column, self.unknown)
        return column.name if nearest is None else f"{column.name} (is it {shown(nearest)!r}?)"


def lost_columns(
    found: ColumnMap, month: TripMonth, accepted: Sequence[str] = ()
) -> LostColumns | None:
    """The columns that a file has lost; None if it has all that its month has.

    Args:
        found: how its header was mapped.
        month: the month that it is taken as.
        accepted: columns that it may lack.
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
    """The name that is most like one of a column's own; None if none is."""
    by_bare = {_bare(name): name for name in names}
    own = [_bare(name) for name in (column.name, *column.published_as)]
    best: tuple[float, str] | None = None
    for bare, name in by_bare.items():
        alike = max(difflib.SequenceMatcher(None, bare, other).ratio() for other in own)
        if alike >= _NEAR and (best is None or alike > best[0]):
            best = (alike, name)
    return best[1] if best else None


def _bare(name: str) -> str:
    return "".join(c for c in normalize_name(name)[:100] if c.isalnum())
