"""The canonical columns of a color, and how a published header is mapped to them.

The trip types in ``types`` define the columns. The readers' casts, the tables of BigQuery and
Postgres, the metadata in the UI and the documentation are derived from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from taxi_platform.trips.column_names import nearest_name, normalize_name, with_nearest_name
from taxi_platform.trips.columns import AMOUNT, CODE, DATA_FILE_MONTH, SECONDS, TIME, Column
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.notes import listed, shown
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


_MIN_KNOWN_SHARE = 0.5
"""A file with this share of a color's columns is one of its trip files, even if a required column
has another name."""


def columns(color: str) -> tuple[Column, ...]:
    """The canonical columns of a color, in the same order as in every store."""
    return trip_type(color).all_columns


def trip_schema(color: str) -> pa.Schema:
    """The Arrow schema of a color's cleaned files, with descriptions as field metadata."""
    return trip_type(color).schema


def chosen_schema(color: str, names: Sequence[str] | None = None) -> pa.Schema:
    """The Arrow schema of the named columns, in the given order; by default of all columns.

    Raises:
        ValueError: the color has no column of that name.
    """
    schema = trip_schema(color)
    if names is None:
        return schema
    if unknown := [name for name in names if name not in schema.names]:
        raise ValueError(
            f"{color} trips have no column {', '.join(unknown)}; use {', '.join(schema.names)}"
        )
    return pa.schema([schema.field(name) for name in names])


def color_of_header(published: Iterable[str]) -> str | None:
    """The color whose header marks a header contains (tpep: yellow, lpep: green), or None."""
    for name in map(normalize_name, published):
        for color, kind in TRIP_TYPES.items():
            if kind.is_marked(name):
                return color
    return None


@dataclass(frozen=True)
class ColumnMap:
    """How a published header is mapped to the canonical schema.

    Attributes:
        mapped: published name, as in the file, to canonical column; in file order.
        unknown: published names that the schema does not know, including ``surplus``.
        surplus: fields of a CSV that contain values but have no name in the header; named
            ``field 20``, counted from 1.
    """

    mapped: dict[str, Column]
    unknown: tuple[str, ...]
    surplus: tuple[str, ...] = ()


def map_columns(published: Sequence[str], color: str, name: str = "the file") -> ColumnMap:
    """Maps a file's header to the canonical columns of a color.

    Args:
        published: the names in the header.
        color: the color.
        name: the file's name, for the message.

    Raises:
        TripFileError: a required column is missing, or two columns map to the same one.
    """
    spellings = trip_type(color).by_published_name
    mapped: dict[str, Column] = {}
    unknown: list[str] = []
    for title in published:
        column = spellings.get(normalize_name(title))
        if column is None:
            unknown.append(title)
        elif column in mapped.values():
            raise TripFileError(
                f"{name}: two columns map to {column.name}: {title!r} and "
                f"{next(n for n, c in mapped.items() if c == column)!r}"
            )
        else:
            mapped[title] = column
    missing = [c for c in columns(color) if c.required and c not in mapped.values()]
    if missing:
        raise TripFileError(f"{name}{_lacks(color, missing, mapped, unknown)}")
    return ColumnMap(mapped, tuple(unknown))


def _lacks(
    color: str, missing: Sequence[Column], mapped: Mapping[str, Column], unknown: Sequence[str]
) -> str:
    """Why a file without required columns is refused; what follows its name."""
    similar = [column for column in missing if nearest_name(column, unknown)]
    if len(mapped) + len(similar) >= _MIN_KNOWN_SHARE * len(columns(color)):
        named = ", ".join(with_nearest_name(column, unknown) for column in missing)
        return (
            f": no column for {named}, which every {color} trip file has; unknown columns: "
            f"{listed(unknown) or 'none'}. Rename the column to a known name (docs/data.md)"
        )
    if not mapped and sum(name.strip(" \"'")[:1].isdigit() for name in unknown) > len(unknown) / 2:
        row = shown(",".join(unknown))
        return f" has no header line: its first line is a row, {row!r}. Put the names above it"
    names = ", ".join(column.name for column in missing)
    published = (*mapped, *unknown)
    return (
        f" is not a {color} trip file: no column for {names}; "
        f"its header has {len(published)}: {listed(published, 30)}"
    )
