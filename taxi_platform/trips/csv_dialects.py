"""What of a CSV is told by its first lines: separators, line ends, quotes and how wide a row is.

How rows are read does not belong here.
"""

import csv
from collections import Counter

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.notes import shown

WIDTH_LINES = 100
"""Lines below the header that are asked how many fields a row has."""

MOST_BEYOND = 64
"""Fields that a row may have beyond its header; a field that nobody reads takes memory, too."""

_SEPARATORS = {
    ";": "semicolons, as Excel writes them where the comma is the decimal sign",
    "\t": "tabs, as Excel and psql write them",
    "|": "vertical bars",
}

_FEW = 5
"""Separators in a line that cannot be there by chance; a trip file's header has 6 at least."""


def refuse_dialect(name: str, header: str) -> None:
    """Refuses a file whose lines or fields end otherwise, by what they end with.

    Args:
        name: the file's.
        header: its first line, up to a newline.

    Raises:
        TripFileError: fields are not separated by commas, or lines do not end in newlines.
    """
    lines = header.rstrip("\r").split("\r")
    if len(lines) > 1 and lines[0].count(",") >= _FEW:
        raise TripFileError(
            f"{name}: its lines end in carriage returns alone, as on old Macs: save it with "
            "newlines (\\n or \\r\\n)"
        )
    first = lines[0].lstrip("\ufeff")
    if first.lower().startswith("sep="):
        raise TripFileError(
            f"{name} begins with {shown(first)!r}, a line for Excel alone: remove it, and separate "
            "the fields by commas"
        )
    for separator, described in _SEPARATORS.items():
        if first.count(separator) >= _FEW > first.count(","):
            raise TripFileError(
                f"{name}: its fields are separated by {described}: save it with commas and with "
                f"points in its numbers; it begins {shown(first)!r}"
            )


def split_line(line: str) -> list[str]:
    """The fields of a line, quoted ones without their quotes.

    A quote that is not closed takes all that follows it, so that the line has too few fields.
    """
    line = line.rstrip("\r")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]))
    except csv.Error:  # a carriage return within a field, or a field without end
        return [line]


def data_width(below: bytes, header_width: int) -> tuple[int, tuple[str, ...]]:
    """How many fields a row has, and names for those beyond the header that have something in them.

    In some eras rows have two fields more than the header, both of them empty; some programs add an
    empty one, and a header may have lost names. The commonest width of the first lines decides, so
    that one damaged line cannot.

    Args:
        below: what follows the header.
        header_width: names in the header.
    """
    lines = below.split(b"\n", WIDTH_LINES)
    # What follows the last newline may have been cut, and has a say only where it is all.
    rows = [
        split_line(line.decode("utf-8", "replace")) for line in lines[:-1] or lines if line.strip()
    ]
    widths = Counter(map(len, rows))
    wide = range(header_width + 1, header_width + MOST_BEYOND + 1)
    width = max(wide, key=lambda w: widths[w])
    if widths[width] <= widths[header_width]:
        return header_width, ()
    filled = {
        position
        for row in rows
        if len(row) == width
        for position in range(header_width, width)
        if row[position].strip()
    }
    return width, tuple(f"field {position + 1}" for position in sorted(filled))
