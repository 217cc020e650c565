"""Published CSV, plain or gzipped, as a stream of blocks of whole lines.

Each block is parsed on its own, so that blocks can be parsed side by side, and a block that does
not parse can be taken apart line by line. Cleaning does not belong here.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from isal import igzip, isal_zlib

from taxi_platform.trips.arrow_values import booleans, integers, numbers_of, texts
from taxi_platform.trips.blocks import (
    BLOCK_ROWS,
    ParsedBlock,
    RowSet,
    canonical_batch,
    split_block,
)
from taxi_platform.trips.casting import MISSING_SPELLINGS, cast_each, cast_whole, is_spelled
from taxi_platform.trips.columns import Column
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.schema import ColumnMap, map_columns

BLOCK_BYTES = 1 << 21
"""Some 20,000 trips: larger blocks are hardly faster, and take more memory."""

PIECE_BYTES = 1 << 17
"""Read, and looked at, at a time: more passes through memory that the system has to clear first."""

LONGEST_LINE = BLOCK_BYTES
"""A trip is some 100 to 200 bytes; a line beyond this is not one, and must not fill memory."""

WIDTH_LINES = 100
"""Lines below the header that are asked how many fields a row has."""

GZIP_MAGIC = b"\x1f\x8b"

_NEWLINE, _RETURN = b"\n\r"

Bytes = npt.NDArray[np.uint8]
"""NumPy's view of bytes: it looks at many at once, and lets other threads run meanwhile."""


@dataclass(frozen=True)
class RawCsvBlock:
    """Whole lines as they stand in the file.

    Attributes:
        data: the lines.
        first_line: the first one's number in the file, from 1.
        line_ends: how many newlines there are; the file's last line may lack its own.
    """

    data: pa.Buffer
    first_line: int
    line_ends: int


def read_first_bytes(path: Path, size: int) -> bytes:
    """The first bytes of a file, unpacked if it is gzip.

    Raises:
        TripFileError: the gzip stream is damaged.
    """
    start = bytearray(size)
    with _open_binary(path) as stream:
        return bytes(start[: _fill(memoryview(start), stream, path)])


def _open_binary(path: Path) -> IO[bytes]:
    with path.open("rb") as plain:
        packed = plain.read(2) == GZIP_MAGIC
    if not packed:
        return path.open("rb", buffering=0)
    # Not igzip_threaded: its thread ends with the thread that opened the file, and what it has not
    # unpacked by then is silently taken for the file's end. It is hardly faster.
    stream: IO[bytes] = igzip.open(path, "rb")
    return stream


def _fill(target: memoryview, stream: IO[bytes], path: Path) -> int:
    """Reads until the target is full or the file at its end; gives the bytes read."""
    filled = 0
    try:
        while filled < len(target):
            read = stream.readinto(target[filled : filled + PIECE_BYTES])  # type: ignore[attr-defined]
            if not read:
                break
            filled += read
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc] # stubbed as a value
        raise TripFileError(
            f"{path.name} is a damaged or truncated gzip file ({error}): download it again"
        ) from error
    return filled


class CsvTripReader:
    """A published CSV file, opened and its header understood.

    Attributes:
        color: the color whose schema the rows are brought to.
        columns: how the file's header was mapped.
    """

    def __init__(self, path: Path, color: str, *, block_bytes: int = BLOCK_BYTES) -> None:
        """Opens the file and maps its header.

        Args:
            path: the file.
            color: the color whose schema the rows are brought to.
            block_bytes: the most that a block holds, one long line excepted; the result does not
                depend on it.

        Raises:
            TripFileError: the file is empty, damaged, or its header is not a trip file's.
        """
        self.color = color
        self._path = path
        self._block_bytes = min(block_bytes, LONGEST_LINE)
        self._stream = _open_binary(path)
        try:
            header, self._rest = self._read_header()
            self._next_line = 2
            self._quoted = b'"' in header
            names = self._split(header.decode("utf-8", "replace"))
            self.columns: ColumnMap = map_columns(names, color)
        except BaseException:
            self._stream.close()
            raise
        self._width = self._data_width(len(names))
        self._by_position: dict[int, Column] = {
            position: self.columns.mapped[name]
            for position, name in enumerate(names)
            if name in self.columns.mapped
        }
        self._types = {c.name: c.type for c in self._by_position.values()}

    def _read_header(self) -> tuple[bytes, bytes]:
        """The header line, and what was read beyond it."""
        start = bytearray(LONGEST_LINE)
        start = start[: _fill(memoryview(start), self._stream, self._path)]
        header, newline, rest = start.partition(b"\n")
        if not header.strip() or (not newline and len(start) >= LONGEST_LINE):
            raise TripFileError(f"{self._path.name} has no header line")
        return bytes(header), bytes(rest)

    def _split(self, line: str) -> list[str]:
        line = line.rstrip("\r")
        if not self._quoted:
            return line.split(",")
        try:
            return next(csv.reader([line]))
        except csv.Error:  # a carriage return within a field, or a field without end
            return [line]

    def _data_width(self, header_width: int) -> int:
        """Fields a row: in some eras two more than the header has, both of them empty.

        The commonest width of the first lines decides, so that one damaged line cannot.
        """
        lines = self._rest.split(b"\n", WIDTH_LINES)
        # What follows the last newline may have been cut, and has a say only where it is all.
        widths = Counter(
            len(self._split(line.decode("utf-8", "replace")))
            for line in lines[:-1] or lines
            if line.strip()
        )
        wide = header_width + 2
        return wide if widths[wide] > widths[header_width] else header_width

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def raw_blocks(self) -> Iterator[RawCsvBlock]:
        """The lines below the header, in order, in blocks of at most ``block_bytes``.

        Stretches of blank lines alone are left out: they hold no row.

        Raises:
            TripFileError: the gzip stream is damaged, or a line has no end.
        """
        for lines in self._whole_lines():
            line_ends = _bytes_of(lines) == _NEWLINE
            blocks = list(_in_blocks(lines, line_ends, self._next_line))
            if not _is_blank(lines):
                yield from blocks
            self._next_line += sum(block.line_ends for block in blocks)

    def _whole_lines(self) -> Iterator[pa.Buffer]:
        """What is left of the file, cut at ends of lines: ``block_bytes`` or one longer line."""
        size = self._block_bytes
        while True:
            # Arrow's memory is used again and again; the system's has to be cleared every time.
            buffer = pa.allocate_buffer(size)
            block = memoryview(buffer).cast("B")
            start, self._rest = self._rest[:size], self._rest[size:]
            block[: len(start)] = start
            filled = len(start) + _fill(block[len(start) :], self._stream, self._path)
            cut = _end_of_last_line(block) if filled == size else filled
            self._rest = bytes(block[cut:filled]) + self._rest
            if cut:
                yield buffer.slice(0, cut)
                size = self._block_bytes
            elif not filled:
                return
            elif size > LONGEST_LINE:
                raise TripFileError(
                    f"{self._path.name}: line {self._next_line} is longer than "
                    f"{LONGEST_LINE:,} bytes"
                )
            else:
                size = min(2 * size, LONGEST_LINE + 1)

    def parse(self, raw: RawCsvBlock) -> ParsedBlock:
        """Parses a block: at once if it is clean, else line by line."""
        try:
            return self._parse_whole(raw)
        except pa.ArrowInvalid:
            return self._parse_lines(raw)

    def _parse_whole(self, raw: RawCsvBlock) -> ParsedBlock:
        _refuse_odd_bytes(_bytes_of(raw.data))
        names = [
            self._by_position[i].name if i in self._by_position else f"unread {i}"
            for i in range(self._width)
        ]
        types = dict(self._types)
        table = pa_csv.read_csv(
            pa.BufferReader(raw.data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=raw.data.size + 1, column_names=names
            ),
            parse_options=pa_csv.ParseOptions(quote_char='"' if self._quoted else False),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=MISSING_SPELLINGS,
                strings_can_be_null=True,
            ),
        )
        lines = _line_numbers(raw, table.num_rows)
        arrays = {
            c.name: cast_whole(_single_chunk(table[c.name]), c) for c in self._by_position.values()
        }
        rows = canonical_batch(self.color, arrays, table.num_rows)
        return ParsedBlock(RowSet(rows, lines, _text_by_line(raw, lines)))

    def _parse_lines(self, raw: RawCsvBlock) -> ParsedBlock:
        """The slow path: keeps every line that can be kept, and says which cannot.

        A last line without its end cannot: it may have been cut anywhere, in the middle of an
        amount too, and still look whole.
        """
        lines: list[str] = []
        numbers: list[int] = []
        fields: list[list[str]] = []
        misfits: list[bool] = []
        nothing = [""] * self._width
        unended = raw.first_line + raw.line_ends
        for number, line in enumerate(raw.data.to_pybytes().split(b"\n"), raw.first_line):
            if not line.strip(b"\r"):
                continue
            text = line.decode("utf-8", "replace").rstrip("\r")
            split = self._split(text)
            misfit = len(split) != self._width or "\ufffd" in text
            lines.append(text)
            numbers.append(number)
            fields.append(nothing if misfit else split)
            misfits.append(misfit or number == unended)
        bad = booleans(misfits)
        arrays: dict[str, pa.Array] = {}
        for position, column in self._by_position.items():
            values = texts([row[position] for row in fields])
            arrays[column.name], bad_here = cast_each(values, column)
            bad = pc.or_(bad, bad_here)
            self._widen(column, values)
        rows = canonical_batch(self.color, arrays, len(fields))
        return split_block(rows, integers(numbers), bad, _text_by_position(lines))

    def _widen(self, column: Column, values: pa.Array) -> None:
        """Reads a code column as text or floats from here on, if the file spells it so.

        Only a matter of speed: the slow path gives the same values.
        """
        if not pa.types.is_integer(column.type) or self._types[column.name] != column.type:
            return
        wider: pa.DataType | None = None
        if column.spelled and is_spelled(values, column):
            wider = pa.string()
        elif pc.any(pc.match_substring_regex(values, r"^\d+\.0*$")).as_py():
            wider = pa.float64()
        if wider is not None:
            self._types = {**self._types, column.name: wider}


def _bytes_of(buffer: pa.Buffer) -> Bytes:
    return np.frombuffer(buffer, dtype=np.uint8)


def _end_of_last_line(block: memoryview) -> int:
    """Where the last newline ends; 0 if there is none."""
    for size in (1 << 12, len(block)):  # nearly all lines are short
        tail = bytes(block[-size:])
        if end := tail.rfind(b"\n") + 1:
            return len(block) - len(tail) + end
    return 0


def _is_blank(lines: pa.Buffer) -> bool:
    """Whether there is nothing but ends of lines."""
    return lines[0] in b"\r\n" and not lines.to_pybytes().strip(b"\r\n")


def _in_blocks(
    lines: pa.Buffer, line_ends: npt.NDArray[np.bool_], first_line: int
) -> Iterator[RawCsvBlock]:
    """Lines in blocks of at most ``BLOCK_ROWS``: a row takes memory however short its line is."""
    count = int(np.count_nonzero(line_ends))
    if count <= BLOCK_ROWS:
        yield RawCsvBlock(lines, first_line, count)
        return
    cuts = (np.flatnonzero(line_ends)[BLOCK_ROWS - 1 :: BLOCK_ROWS] + 1).tolist()
    for start, end in pairwise([0, *cuts, lines.size]):
        if start < end:
            count = int(np.count_nonzero(line_ends[start:end]))
            yield RawCsvBlock(lines.slice(start, end - start), first_line, count)
            first_line += count


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _refuse_odd_bytes(data: Bytes) -> None:
    """Leaves to the slow path what Arrow and it would see differently.

    Raises:
        pa.ArrowInvalid: a byte beyond ASCII, a carriage return that does not end a line, or a
            last line without its end.
    """
    if data[-1] != _NEWLINE:
        raise pa.ArrowInvalid("the last line has no end")
    for start in range(0, len(data) - 1, PIECE_BYTES):
        piece, following = (data[s : s + PIECE_BYTES] for s in (start, start + 1))
        if piece.max() > 127:
            raise pa.ArrowInvalid("a byte beyond ASCII")
        # Arrow ends a row at a lone carriage return; a line ends at a newline.
        returns = piece[: len(following)] == _RETURN
        if returns.any() and (returns & (following != _NEWLINE)).any():
            raise pa.ArrowInvalid("a carriage return within a line")


def _line_numbers(raw: RawCsvBlock, rows: int) -> pa.Int64Array:
    """The rows' line numbers, where blank lines are no rows.

    Raises:
        pa.ArrowInvalid: rows and lines do not match, as where a quote swallowed a line's end.
    """
    if raw.line_ends == rows:
        return pa.arange(raw.first_line, raw.first_line + rows)
    lines = raw.data.to_pybytes().split(b"\n")
    numbers = [n for n, line in enumerate(lines, raw.first_line) if line.strip(b"\r")]
    if len(numbers) != rows:
        raise pa.ArrowInvalid("rows and lines do not match")
    return integers(numbers)


def _text_by_position(texts: list[str]) -> Callable[[Sequence[int]], list[str | None]]:
    return lambda positions: [texts[p] for p in positions]


def _text_by_line(
    raw: RawCsvBlock, numbers: pa.Int64Array
) -> Callable[[Sequence[int]], list[str | None]]:
    def text(positions: Sequence[int]) -> list[str | None]:
        ends = np.flatnonzero(_bytes_of(raw.data) == _NEWLINE)
        lines = numbers_of(numbers)[list(positions)] - raw.first_line
        starts = np.concatenate([[-1], ends])[lines] + 1
        return [
            raw.data[start:end].to_pybytes().rstrip(b"\r").decode("utf-8", "replace")
            for start, end in zip(starts.tolist(), ends[lines].tolist(), strict=True)
        ]

    return text
