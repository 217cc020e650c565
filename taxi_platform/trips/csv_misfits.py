"""Finds the records of a CSV that are not rows of it, and says why."""

from collections.abc import Sequence

from taxi_platform.trips.csv_records import CsvRecord
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.notes import shown
from taxi_platform.trips.schema import normalize_name
from taxi_platform.trips.types import trip_type

_UNDECODABLE = "\ufffd"


class MisfitFinder:
    """Judges records by the file's header and width."""

    def __init__(self, file_name: str, color: str, header: Sequence[str], width: int) -> None:
        """Remembers what a row of the file is like.

        Args:
            file_name: for messages.
            color: the color whose columns a header names.
            header: the names in the file's first line, as published.
            width: the number of fields of a row.
        """
        self._file_name = file_name
        self._header = _names(header)
        self._width = width
        self._known = trip_type(color).by_published_name

    def why_misfit(self, record: CsvRecord) -> str | None:
        """Why a record is not a row; None if it looks like one.

        Raises:
            TripFileError: it is a header with other columns: the file was joined from several, and
                the values below it would be read into the wrong columns.
        """
        width, text = len(record.fields), repr(shown(record.text))
        if self._repeats_header(record):
            return f"the header again: {text}"
        if record.is_ambiguous:
            return f"in a quoted field, or a row after a stray quote: {text}"
        if width == 1 and '"' in record.text:
            return f"a quote that is within a field, or is not closed: {text}"
        if width != self._width:
            return f"{width:,} fields instead of {self._width:,}: {text}"
        if _UNDECODABLE in record.text:
            return f"invalid UTF-8: {text}"
        return None

    def _repeats_header(self, record: CsvRecord) -> bool:
        if not self._looks_like_header(record.fields):
            return False
        if _names(record.fields) != self._header:
            raise TripFileError(
                f"{self._file_name}: line {record.line_number:,} is a header with other columns "
                f"than the file's first line: {shown(record.text)!r}. The file was joined from "
                "several files: split it there"
            )
        return True

    def _looks_like_header(self, fields: list[str]) -> bool:
        """Whether most fields are names of columns; values never are."""
        if not any(normalize_name(field) in self._known for field in fields[:3]):
            return False
        return sum(normalize_name(field) in self._known for field in fields) > len(fields) / 2


def why_cut(record: CsvRecord) -> str | None:
    """Why a record is not taken though it looks like a row; None if it is.

    A last line that does not end in a newline may be truncated anywhere, even within an amount, and
    still look complete.
    """
    if record.ended:
        return None
    text = repr(shown(record.text))
    return f"the last line does not end in a newline and may be truncated: {text}"


def _names(fields: Sequence[str]) -> list[str]:
    return [name for name in map(normalize_name, fields) if name]
