"""Blocks of a CSV's lines, and what their bytes are checked for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from taxi_platform.trips.arrow_values import byte_table, integers
from taxi_platform.trips.byte_streams import PIECE_BYTES

NEWLINE, COLON, _RETURN, _QUOTE = b'\n:\r"'

_LAST_ASCII = 127

_MAY_PRECEDE, _MAY_FOLLOW = byte_table(b",\n"), byte_table(b",\r\n")
"""The characters beside a quoted field."""

Bytes = npt.NDArray[np.uint8]
"""A NumPy view of bytes. NumPy is fast and releases the interpreter's lock."""


@dataclass(frozen=True)
class RawCsvBlock:
    """Whole lines, as they are in the file.

    Attributes:
        data: the lines.
        first_line: line number of the first one in the file, from 1.
        line_ends: number of newlines. The file's last line may have none.
    """

    data: pa.Buffer
    first_line: int
    line_ends: int


def bytes_of(buffer: pa.Buffer) -> Bytes:
    """A NumPy view of a buffer."""
    return np.frombuffer(buffer, dtype=np.uint8)


def end_of_last_line(block: memoryview) -> int:
    """The position after the last newline; 0 if there is none."""
    for size in (1 << 12, len(block)):  # nearly all lines are short
        tail = bytes(block[-size:])
        if end := tail.rfind(b"\n") + 1:
            return len(block) - len(tail) + end
    return 0


def is_blank(lines: pa.Buffer) -> bool:
    """Whether the buffer contains only line endings."""
    return lines[0] in b"\r\n" and not lines.to_pybytes().strip(b"\r\n")


def check_bytes(lines: pa.Buffer) -> bool:
    """Returns whether the block has quotes. Rejects blocks that Arrow would parse differently.

    Raises:
        pa.ArrowInvalid: a byte is not ASCII, a carriage return does not end a line, a number may be
            hexadecimal, a quote is within a field, or the last line does not end in a newline. The
            slow path has to parse the block.
    """
    data = bytes_of(lines)
    text = lines.to_pybytes()  # Searching bytes takes a fifth of the time of NumPy's comparisons.
    if not text.endswith(b"\n"):
        raise pa.ArrowInvalid("the last line does not end in a newline")
    if data.max() > _LAST_ASCII:
        raise pa.ArrowInvalid("a byte is not ASCII")
    # Arrow ends a row at a lone carriage return; our lines end only at a newline.
    if b"\r" in text and ((data[:-1] == _RETURN) & (data[1:] != NEWLINE)).any():
        raise pa.ArrowInvalid("a carriage return within a line")
    # Arrow reads 0x1A as 26.
    if any(x in text and b"0" + x in text for x in (b"x", b"X")):
        raise pa.ArrowInvalid("a number may be hexadecimal")
    quoted = b'"' in text
    if quoted and not _are_quotes_regular(data):
        raise pa.ArrowInvalid("a quote within a field")
    return quoted


def _are_quotes_regular(data: Bytes) -> bool:
    """Whether each pair of quotes encloses a field. Arrow reads ``"12"5`` as 125."""
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[0::2], quotes[1::2]
    # Before the first byte is a line end: the last one, by its index of -1.
    return bool(_MAY_PRECEDE[data[opening - 1]].all() and _MAY_FOLLOW[data[closing + 1]].all())


def count_bytes(data: Bytes, byte: int) -> int:
    """How often a byte occurs. What is compared stays in the CPU's cache."""
    pieces = (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))
    return sum(int(np.count_nonzero(piece == byte)) for piece in pieces)


def line_numbers(raw: RawCsvBlock, rows: int) -> pa.Int64Array:
    """The line numbers of the rows. Blank lines are not rows.

    Raises:
        pa.ArrowInvalid: rows and lines do not match, because a quoted field contains a newline.
    """
    if raw.line_ends == rows:
        return pa.arange(raw.first_line, raw.first_line + rows)
    lines = raw.data.to_pybytes().split(b"\n")
    numbers = [n for n, line in enumerate(lines, raw.first_line) if line.strip(b"\r")]
    if len(numbers) != rows:
        raise pa.ArrowInvalid("rows and lines do not match")
    return integers(numbers)
