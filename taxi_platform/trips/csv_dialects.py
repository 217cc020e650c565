"""Detects the dialect of a CSV from its first lines: delimiter, line endings, quotes, row width."""

import csv
from collections import Counter

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.notes import shown

SAMPLE_LINES = 100
"""Number of lines below the header that are sampled to detect the number of fields per row."""

MAX_EXTRA_FIELDS = 64
"""Maximum number of fields per row beyond the header's. Unread fields take memory too."""

_DELIMITERS = {
    ";": "semicolons, as Excel writes them where the comma is the decimal sign",
    "\t": "tabs, as Excel and psql write them",
    "|": "vertical bars",
    "\x01": "the control character 1, as Hive writes it",
    "^": "carets",
    "~": "tildes",
}

_LEAST_DELIMITERS = 5
"""This many delimiters in a line are no coincidence. A trip file's header has at least 6."""


def refuse_dialect(name: str, header: str) -> None:
    """Refuses a file with another delimiter or other line endings.

    Args:
        name: the file's name, for the message.
        header: the file's first line, up to a newline.

    Raises:
        TripFileError: the delimiter is not a comma, or the lines do not end in a newline.
    """
    lines = header.rstrip("\r").split("\r")
    if len(lines) > 1 and lines[0].count(",") >= _LEAST_DELIMITERS:
        raise TripFileError(
            f"{name}: lines end in a carriage return alone, as on old Macs; save the file with "
            "newlines (\\n or \\r\\n)"
        )
    first = lines[0].lstrip("\ufeff")
    if first.startswith("#"):
        raise TripFileError(f"{name} begins with a comment, {shown(first)!r}: remove it")
    if first.lower().startswith("sep="):
        raise TripFileError(
            f"{name} begins with {shown(first)!r}, a line that only Excel understands; remove it "
            "and use commas as delimiters"
        )
    for separator, described in _DELIMITERS.items():
        if first.count(separator) >= _LEAST_DELIMITERS > first.count(","):
            raise TripFileError(
                f"{name}: fields are separated by {described}; save the file with commas between "
                f"fields and decimal points in numbers; it begins {shown(first)!r}"
            )


def split_line(line: str) -> list[str]:
    """Splits a line into its fields and removes the quotes.

    A line with a quote that is not at the edge of a field, or is not closed, is a single field: to
    read ``"12"5`` as 125 would change the value.
    """
    line = line.rstrip("\r")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:  # also a carriage return within a field, or an overlong field
        return [line]


def data_width(below: bytes, header_width: int) -> tuple[int, tuple[str, ...]]:
    """The number of fields per row, and names for the non-empty fields beyond the header.

    In some eras each row has two more fields than the header, both empty. Some programs add an
    empty field, and a header may have lost names. The most common width among the first lines is
    used, so one damaged line cannot change it.

    Args:
        below: the bytes that follow the header.
        header_width: the number of names in the header.
    """
    lines = below.split(b"\n", SAMPLE_LINES)
    # The text after the last newline may be incomplete: use it only if there is nothing else.
    whole = (line.decode("utf-8", "replace") for line in lines[:-1] or lines)
    # A carriage return may end a line too, and a line with two rows has no width.
    # A line within a record of several has no width, either.
    single = (line for line in whole if line.count('"') % 2 == 0)
    rows = [split_line(piece) for line in single for piece in line.split("\r") if piece.strip()]
    widths = Counter(map(len, rows))
    wide = range(header_width + 1, header_width + MAX_EXTRA_FIELDS + 1)
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
