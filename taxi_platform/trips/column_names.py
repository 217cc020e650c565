"""Compares the names in a file's header with the names of the canonical columns."""

import difflib
from collections.abc import Iterable

from taxi_platform.trips.columns import Column
from taxi_platform.trips.notes import shown

_MIN_SIMILARITY = 0.6
"""Minimum similarity of two names, 0 to 1, for a message to suggest one for the other."""


def normalize_name(published: str) -> str:
    """Removes blanks, quotes and a byte order mark around a header name, and folds its case."""
    return published.strip("\ufeff \t\r\n\"'").casefold()


def with_nearest_name(column: Column, names: Iterable[str]) -> str:
    """A missing column for a message, with the name that most likely stands for it, if any."""
    nearest = nearest_name(column, names)
    return column.name if nearest is None else f"{column.name} (is it {shown(nearest)!r}?)"


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
