"""The canonical columns of a color, and how a published header meets them.

The schema is defined in ``types``, by the kinds of trips. The reader's casts, the tables of
BigQuery and Postgres, the metadata in the UI and the documentation are derived from it. How a file
is read, and what a store's types are called, does not belong here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from taxi_platform.trips.columns import AMOUNT, CODE, DATA_FILE_MONTH, SECONDS, TIME, Column
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.types import TRIP_TYPES, trip_type

__all__ = [
    "AMOUNT",
    "CODE",
    "DATA_FILE_MONTH",
    "SECONDS",
    "TIME",
    "Column",
    "ColumnMap",
    "chosen_schema",
    "color_of_header",
    "columns",
    "map_columns",
    "normalize_name",
    "trip_schema",
]


def columns(color: str) -> tuple[Column, ...]:
    """The canonical columns of a color, in their order in every store."""
    return trip_type(color).all_columns


def trip_schema(color: str) -> pa.Schema:
    """The Arrow schema of every cleaned file of a color, descriptions as field metadata."""
    return trip_type(color).schema


def chosen_schema(color: str, names: Sequence[str] | None = None) -> pa.Schema:
    """The Arrow schema of some canonical columns, in the order of their names; by default of all.

    Raises:
        ValueError: a name is no column of the color.
    """
    schema = trip_schema(color)
    if names is None:
        return schema
    if unknown := [name for name in names if name not in schema.names]:
        raise ValueError(
            f"{color} trips have no column {', '.join(unknown)}, but {', '.join(schema.names)}"
        )
    return pa.schema([schema.field(name) for name in names])


def normalize_name(published: str) -> str:
    """A header name without what the TLC varies: blanks around it, case, a byte order mark."""
    return published.strip("\ufeff \t\r\n\"'").casefold()


def color_of_header(published: Iterable[str]) -> str | None:
    """The color that a header speaks of (tpep is yellow, lpep is green), None where it does not."""
    for name in map(normalize_name, published):
        for color, kind in TRIP_TYPES.items():
            if kind.is_marked(name):
                return color
    return None


@dataclass(frozen=True)
class ColumnMap:
    """How a published header meets the canonical schema.

    Attributes:
        mapped: published name, as it stands in the file, to canonical column; in file order.
        unknown: published names that the schema does not know, and the surplus.
        surplus: fields that rows have something in, and the header of a CSV no name for; called
            ``field 20``, counted from 1.
    """

    mapped: dict[str, Column]
    unknown: tuple[str, ...]
    surplus: tuple[str, ...] = ()


def map_columns(published: Sequence[str], color: str) -> ColumnMap:
    """Maps a file's header to the canonical columns of a color.

    Raises:
        TripFileError: a required column is missing, or two columns mean the same.
    """
    spellings = trip_type(color).by_published_name
    mapped: dict[str, Column] = {}
    unknown: list[str] = []
    for name in published:
        column = spellings.get(normalize_name(name))
        if column is None:
            unknown.append(name)
        elif column in mapped.values():
            raise TripFileError(
                f"two columns mean {column.name}: {name!r} and "
                f"{next(n for n, c in mapped.items() if c == column)!r}"
            )
        else:
            mapped[name] = column
    missing = [c.name for c in columns(color) if c.required and c not in mapped.values()]
    if missing:
        # The file may be anything, a picture too: what is not printable must not reach a log.
        found = "".join(c if c.isprintable() else "?" for c in ", ".join(published[:30])[:400])
        raise TripFileError(
            f"not a {color} trip file: no column for {', '.join(missing)}; "
            f"its header has {len(published)}: {found}"
        )
    return ColumnMap(mapped, tuple(unknown))
