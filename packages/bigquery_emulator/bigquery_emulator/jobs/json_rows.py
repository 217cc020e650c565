"""NDJSON files and streamed rows: rewritten as CSV, whose reader then gives values their types.

JSON has objects by name, CSV values by position; what a value of a type looks like is the same.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.jobs.csv_rows import CsvFormat
from bigquery_emulator.storage.column_types import Field

# A NULL is this without quotes; texts have quotes.
FORMAT = CsvFormat(
    delimiter=",", quote='"', null_marker="\\N", skipped_rows=0, newlines_allowed=True
)
_GZIP = b"\x1f\x8b"


def rewrite(path: Path, uri: str, columns: list[Field], *, ignore_unknown: bool) -> None:
    """Puts a CSV file in the place of an NDJSON file that was fetched.

    Raises:
        ApiError: a line is not an object of these columns, or nested, which is not supported.
    """
    written = path.with_suffix(".csv")
    with written.open("w", encoding="utf-8", newline="") as file:
        for line in lines(_objects(path, uri), columns, ignore_unknown=ignore_unknown):
            file.write(line)
    written.replace(path)


def lines(objects: Iterable[Any], columns: list[Field], *, ignore_unknown: bool) -> Iterator[str]:
    """The lines of the CSV file for JSON objects.

    Raises:
        ApiError: one is not an object of these columns, or nested, which is not supported.
    """
    for field in columns:
        if field["mode"] == "REPEATED" or field["type"] == "RECORD":
            raise unsupported(f"JSON rows with nested columns such as {field['name']}")
    known = {field["name"].lower() for field in columns}
    for row in objects:
        if not isinstance(row, dict):
            raise invalid("JSON row is not an object")
        values = {str(key).lower(): value for key, value in row.items()}
        unknown = sorted(set(values) - known)
        if unknown and not ignore_unknown:
            raise invalid(f"no such field: {unknown[0]}.")
        yield (
            ",".join(_written(values.get(field["name"].lower()), field) for field in columns) + "\n"
        )


def _objects(path: Path, uri: str) -> Iterator[Any]:
    with path.open("rb") as raw:
        compressed = raw.read(2) == _GZIP
    opened: Any = gzip.open if compressed else open
    try:
        with opened(path, "rt", encoding="utf-8") as text:
            for line in text:
                if line.strip():
                    yield json.loads(line, parse_float=str)
    except (ValueError, EOFError, OSError) as error:
        raise invalid(
            "Error while reading data, error message: JSON parsing error in row starting at "
            f"position 0: {error}. File: {uri}"
        ) from error


def _written(value: Any, field: Field) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, dict | list):
        raise invalid(f"This field: {field['name']} is not a record or repeated.")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace('"', '""') + '"'
