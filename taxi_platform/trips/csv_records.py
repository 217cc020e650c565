"""Splits the bytes of a CSV into records, where a line is not always one record.

A quoted field may contain newlines. In files that were joined or edited, some lines may end in a
carriage return alone. Either way, a record is recognized only by its number of fields: a damaged
line is taken as it is, to be rejected by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from taxi_platform.trips.blocks import BLOCK_ROWS
from taxi_platform.trips.csv_dialects import split_line
from taxi_platform.trips.csv_lines import (
    NEWLINE,
    RawCsvBlock,
    bytes_of,
    count_bytes,
    end_of_last_line,
)

MAX_RECORD_LINES = 16
"""Maximum lines of a record. A quote that is never closed must not swallow the rest of the file."""

_TAIL_BYTES = 1 << 14


@dataclass(frozen=True)
class CsvRecord:
    """A record, or a line that is none.

    Attributes:
        text: as in the file, without its line end. Invalid UTF-8 is replaced by U+FFFD.
        line_number: of its first line.
        fields: without their quotes.
        ended: whether a line end follows.
        is_ambiguous: whether it is one of several lines that are either a record with a quoted
            field, or rows between two stray quotes.
    """

    text: str
    line_number: int
    fields: list[str]
    ended: bool
    is_ambiguous: bool = False


@dataclass(frozen=True)
class _Extent:
    """How many lines belong together, and whether that is certain."""

    lines: int
    is_ambiguous: bool = False


_ALONE = _Extent(1)


def records(raw: RawCsvBlock, width: int) -> Iterator[CsvRecord]:
    """Yields the records of a block, in order. Blank lines are not records.

    Args:
        raw: the block.
        width: the number of fields of a record.
    """
    lines = raw.data.to_pybytes().split(b"\n")
    at = 0
    while at < len(lines):
        extent = _extent(lines, at, width) or _ALONE
        following = at + extent.lines
        if extent.is_ambiguous:
            yield from _ambiguous(lines[at:following], raw.first_line + at)
        elif lines[at].strip(b"\r"):
            pieces = _pieces(b"\n".join(lines[at:following]), width)
            for n, piece in enumerate(pieces, 1):
                ended = following <= raw.line_ends or n < len(pieces)
                yield CsvRecord(piece, raw.first_line + at, split_line(piece), ended)
        at = following


def _ambiguous(lines: list[bytes], first_line: int) -> Iterator[CsvRecord]:
    """Each of the lines by itself, so that it is rejected by itself."""
    for number, line in enumerate(lines, first_line):
        if text := _decoded(line):
            yield CsvRecord(text, number, split_line(text), ended=True, is_ambiguous=True)


def _extent(lines: list[bytes], at: int, width: int) -> _Extent | None:
    """The extent of the record that begins at a line; None if more lines have to be read.

    A quote that is open at the end of a line is closed within the next lines, and they are a record
    with it; otherwise the quote is damage.
    """
    if not _opens_or_closes(lines[at]):
        return _ALONE
    for last in range(at + 1, at + MAX_RECORD_LINES):
        if last == len(lines):
            return None
        if _opens_or_closes(lines[last]):
            found = lines[at : last + 1]
            if len(split_line(_decoded(b"\n".join(found)))) != width:
                return _ALONE
            return _Extent(len(found), _may_be_rows(found, width))
    return _ALONE


def _may_be_rows(lines: list[bytes], width: int) -> bool:
    """Whether lines that are a record with a quoted field may be rows with a stray quote instead.

    So it is if lines within the field look like rows, or if both the first and the last line do,
    but for a quote in the same column.
    """
    first, *between, last = lines
    if any(len(split_line(_decoded(line))) == width for line in between):
        return True
    return first.count(b",") == last.count(b",") == width - 1


def _opens_or_closes(line: bytes) -> bool:
    return line.count(b'"') % 2 == 1


def _pieces(line: bytes, width: int) -> list[str]:
    """Splits a line at carriage returns, if a record lies between each two of them."""
    text = _decoded(line)
    if "\r" not in text:
        return [text]
    pieces = [piece for piece in text.split("\r") if piece]
    return pieces if all(len(split_line(piece)) == width for piece in pieces) else [text]


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def end_of_last_record(block: memoryview, width: int) -> int:
    """The position after the last newline that ends a record; 0 if more lines have to be read.

    Args:
        block: bytes that begin with a record.
        width: the number of fields of a record.
    """
    end = end_of_last_line(block)
    if not any(map(_opens_or_closes, _last_lines(block[:end]))):
        return end
    lines = bytes(block[:end]).split(b"\n")[:-1]
    at = position = 0
    while at < len(lines):
        extent = _extent(lines, at, width)
        if extent is None:
            break
        position += sum(len(line) + 1 for line in lines[at : at + extent.lines])
        at += extent.lines
    return position


def _last_lines(lines: memoryview) -> list[bytes]:
    """The lines in which a record may begin that does not end with the last of them."""
    for size in (_TAIL_BYTES, len(lines)):  # nearly all lines are short
        tail = bytes(lines[-size:])
        if b'"' not in tail:
            return []
        last = tail.split(b"\n")[-MAX_RECORD_LINES - 1 :]
        if len(last) > MAX_RECORD_LINES:
            break
    return last[-MAX_RECORD_LINES:]


def in_blocks(lines: pa.Buffer, first_line: int, width: int) -> Iterator[RawCsvBlock]:
    """Splits records into blocks of ``BLOCK_ROWS`` lines: short lines take memory per row too."""
    data = bytes_of(lines)
    in_all = count_bytes(data, NEWLINE)
    if in_all <= BLOCK_ROWS:  # nearly always
        yield RawCsvBlock(lines, first_line, in_all)
        return
    view = memoryview(lines).cast("B")
    start = 0
    for end in (
        *(np.flatnonzero(data == NEWLINE)[BLOCK_ROWS - 1 :: BLOCK_ROWS] + 1).tolist(),
        lines.size,
    ):
        if end < lines.size:
            end = start + end_of_last_record(view[start:end], width)
        if start < end:
            count = count_bytes(data[start:end], NEWLINE)
            yield RawCsvBlock(lines.slice(start, end - start), first_line, count)
            first_line += count
        start = end
