"""Reads published CSV, plain or gzipped, as a stream of blocks of whole lines.

Each block is parsed independently, so blocks can be parsed in parallel, and a block that fails to
parse can be parsed line by line.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from taxi_platform.trips.arrow_values import (
    FALSE,
    booleans,
    integers,
    scalar,
    texts,
)
from taxi_platform.trips.blocks import (
    ParsedBlock,
    RawText,
    RowSet,
    canonical_batch,
    split_block,
)
from taxi_platform.trips.byte_streams import fill, open_bytes
from taxi_platform.trips.casting import ColumnCast, is_spelled
from taxi_platform.trips.columns import TIME, Column
from taxi_platform.trips.csv_dialects import data_width, refuse_dialect, split_line
from taxi_platform.trips.csv_lines import (
    COLON,
    NEWLINE,
    RawCsvBlock,
    bytes_of,
    check_bytes,
    count_bytes,
    end_of_last_line,
    is_blank,
    line_numbers,
)
from taxi_platform.trips.csv_misfits import MisfitFinder, why_cut
from taxi_platform.trips.csv_records import CsvRecord, end_of_last_record, in_blocks, records
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.failures import FailureSearch, bad_value
from taxi_platform.trips.notes import About, Notes
from taxi_platform.trips.schema import ColumnMap, map_columns
from taxi_platform.trips.texts import MISSING_SPELLINGS
from taxi_platform.trips.times import UtcTimes, full_hours, has_zones_or_fractions

BLOCK_BYTES = 1 << 21
"""About 20,000 trips. Larger blocks are hardly faster and take more memory."""

LONGEST_LINE = BLOCK_BYTES
"""Maximum bytes per line. A trip takes 100 to 200; the limit keeps other files from filling
memory."""

_COMMON_NULLS: tuple[str, ...] = ("",)
"""How the TLC writes a missing value. Arrow is slower if it has to compare with more spellings."""

_EMPTY = scalar("", pa.string())


class CsvTripReader:
    """An open CSV file whose header has been mapped.

    Attributes:
        color: the color whose schema the rows are cast to.
        columns: how the file's header was mapped.
    """

    def __init__(
        self,
        path: Path,
        color: str,
        *,
        block_bytes: int = BLOCK_BYTES,
        utc_times: UtcTimes = "wall_time",
    ) -> None:
        """Opens the file and maps its header.

        Args:
            path: the file.
            color: the color whose schema the rows are cast to.
            block_bytes: maximum size of a block; a longer line is a block of its own. It does not
                affect the result.
            utc_times: how to read times labeled UTC.

        Raises:
            TripFileError: the file is empty, is damaged, or lacks a trip file's header.
        """
        self.color = color
        self._path = path
        self._utc_times = utc_times
        self._block_bytes = min(block_bytes, LONGEST_LINE)
        self._stream = open_bytes(path)
        try:
            header, self._rest = self._read_header()
            text = header.decode("utf-8", "replace")
            refuse_dialect(path.name, text)
            names = split_line(text)
            found = map_columns(names, color, path.name)
        except BaseException:
            self._stream.close()
            raise
        self._width, surplus = data_width(self._rest, len(names))
        self._misfits = MisfitFinder(path.name, color, names, self._width)
        self.columns = ColumnMap(found.mapped, (*found.unknown, *surplus), surplus)
        self._extra_fields = range(len(names), self._width)
        self._by_position: dict[int, Column] = {
            position: found.mapped[name]
            for position, name in enumerate(names)
            if name in found.mapped
        }
        self._published = {found.mapped[name].name: name for name in names if name in found.mapped}
        self._types = {c.name: c.type for c in self._by_position.values()}
        self._null_values = _COMMON_NULLS

    def _read_header(self) -> tuple[bytes, bytes]:
        """Returns the header line, and the bytes that were read after it."""
        start = bytearray(LONGEST_LINE)
        start = start[: fill(memoryview(start), self._stream, self._path)]
        blank = len(start) - len(start.lstrip(b"\r\n"))
        self._next_line = 2 + start.count(b"\n", 0, blank)
        header, newline, rest = start[blank:].partition(b"\n")
        if not header.strip() or (not newline and len(start) >= LONGEST_LINE):
            raise TripFileError(f"{self._path.name} has no header line")
        return bytes(header), bytes(rest)

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def raw_blocks(self) -> Iterator[RawCsvBlock]:
        """Yields the lines below the header, in order, in blocks of at most ``block_bytes``.

        Blocks that contain only blank lines are skipped.

        Raises:
            TripFileError: the gzip stream is damaged, or a line is too long.
        """
        for lines in self._whole_lines():
            blocks = list(in_blocks(lines, self._next_line, self._width))
            if not is_blank(lines):
                yield from blocks
            self._next_line += sum(block.line_ends for block in blocks)

    def _whole_lines(self) -> Iterator[pa.Buffer]:
        """Yields the rest of the file in whole lines: ``block_bytes``, or one longer line."""
        size = self._block_bytes
        while True:
            # Arrow reuses its memory; the kernel has to clear fresh memory every time.
            buffer = pa.allocate_buffer(size)
            block = memoryview(buffer).cast("B")
            start, self._rest = self._rest[:size], self._rest[size:]
            block[: len(start)] = start
            filled = len(start) + fill(block[len(start) :], self._stream, self._path)
            cut = end_of_last_record(block, self._width) if filled == size else filled
            if not cut and size > LONGEST_LINE:
                cut = end_of_last_line(block)
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
        """Parses a block: at once if it is clean, otherwise line by line."""
        try:
            return self._parse_whole(raw)
        except pa.ArrowInvalid:
            return self._parse_lines(raw)

    def _parse_whole(self, raw: RawCsvBlock) -> ParsedBlock:
        quoted = check_bytes(raw.data)
        names = [self._name(position) for position in range(self._width)]
        types = {**self._types, **{self._name(n): pa.string() for n in self._extra_fields}}
        table = pa_csv.read_csv(
            pa.BufferReader(raw.data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=raw.data.size + 1, column_names=names
            ),
            # Arrow is slower if it has to look for quotes, and few files have any.
            parse_options=pa_csv.ParseOptions(quote_char='"' if quoted else False),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=self._null_values,
                strings_can_be_null=True,
            ),
        )
        lines = line_numbers(raw, table.num_rows)
        text = _text_by_line(raw, lines)
        notes = Notes()
        arrays = {
            c.name: ColumnCast(c, self._utc_times, notes).whole(_single_chunk(table[c.name]))
            for c in self._by_position.values()
        }
        for position in self._extra_fields:
            self._note_extra_field(position, _single_chunk(table[self._name(position)]), notes)
        if not self._are_times_complete(raw, arrays, types):
            for position, column in self._by_position.items():
                if types[column.name] == TIME:
                    self._note_cut_times(position, arrays[column.name], text, notes)
        rows = canonical_batch(self.color, arrays, table.num_rows)
        return ParsedBlock(RowSet(rows, lines, text), notes=notes)

    def _name(self, position: int) -> str:
        column = self._by_position.get(position)
        return column.name if column else f"unread {position}"

    def _are_times_complete(
        self, raw: RawCsvBlock, arrays: Mapping[str, pa.Array], types: Mapping[str, pa.DataType]
    ) -> bool:
        """Whether each time has minutes and seconds; counts colons, which is fast.

        False if it cannot be told, because there are other colons: in a column that is not read, in
        texts, or in times that are parsed as texts.
        """
        columns = self._by_position.values()
        is_told = len(columns) == self._width and not any(
            column.type == TIME != types[column.name] or _has_colons(arrays[column.name])
            for column in columns
        )
        if not is_told:
            return False
        times = (arrays[column.name] for column in columns if column.type == TIME)
        present = sum(len(array) - array.null_count for array in times)
        return count_bytes(bytes_of(raw.data), COLON) == 2 * present

    def _note_cut_times(self, position: int, times: pa.Array, text: RawText, notes: Notes) -> None:
        """Notes the times without minutes, which Arrow reads as the start of a day or hour."""
        if len(at_full_hours := full_hours(times)):
            lines = text(at_full_hours).to_pylist()
            fields = [split_line(line)[position].strip() for line in lines]
            if cut := [field for field in fields if ":" not in field]:
                notes.add(About.NO_MINUTES, self._by_position[position].name, len(cut), cut[0])

    def _note_extra_field(self, position: int, values: pa.StringArray, notes: Notes) -> None:
        filled = values.filter(pc.fill_null(pc.not_equal(values, _EMPTY), FALSE))
        if len(filled):
            example = repr(filled[0].as_py())
            notes.add(About.UNNAMED_FIELD, f"field {position + 1}", len(filled), example)

    def _parse_lines(self, raw: RawCsvBlock) -> ParsedBlock:
        """Parses line by line: keeps every line that can be parsed, and reports the others."""
        self._null_values = MISSING_SPELLINGS  # The file may write them in every row.
        found = list(records(raw, self._width))
        misfits = [self._misfits.why_misfit(record) for record in found]
        nothing = [""] * self._width
        fields = [
            nothing if misfit else record.fields
            for record, misfit in zip(found, misfits, strict=True)
        ]
        reasons = [misfit or why_cut(r) for r, misfit in zip(found, misfits, strict=True)]
        bad = booleans([reason is not None for reason in reasons])
        notes, failures = Notes(), FailureSearch()
        failures.add(bad, lambda position: reasons[position] or "")
        arrays: dict[str, pa.Array] = {}
        for position, column in self._by_position.items():
            values = texts([row[position] for row in fields])
            cast = ColumnCast(column, self._utc_times, notes)
            arrays[column.name], bad_here = cast.each(values)
            failures.add(bad_here, self._describer(values, column))
            bad = pc.or_(bad, bad_here)
            self._widen(column, values)
        for position in self._extra_fields:
            self._note_extra_field(
                position, texts([row[position] or None for row in fields]), notes
            )
        rows = canonical_batch(self.color, arrays, len(fields))
        places = integers([record.line_number for record in found])
        block = split_block(rows, places, bad, _text_by_position(found))
        return replace(block, notes=notes, first_failure=failures.first(places))

    def _describer(self, values: pa.StringArray, column: Column) -> Callable[[int], str]:
        published = self._published[column.name]
        return lambda position: bad_value(published, values[position].as_py() or "", column)

    def _widen(self, column: Column, values: pa.Array) -> None:
        """Parses a column as text or floats from now on, if the file writes it so.

        This only affects speed: the slow path returns the same values.
        """
        if self._types[column.name] != column.type:
            return
        wider: pa.DataType | None = None
        if pa.types.is_timestamp(column.type):
            if has_zones_or_fractions(values):
                wider = pa.string()
        elif not pa.types.is_integer(column.type):
            return
        elif column.spelled and is_spelled(values, column):
            wider = pa.string()
        elif pc.any(pc.match_substring_regex(values, r"^\d+\.0*$")).as_py():
            wider = pa.float64()
        if wider is not None:
            self._types = {**self._types, column.name: wider}


def _has_colons(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) and bool(pc.any(pc.match_substring(array, ":")).as_py())


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _text_by_position(found: list[CsvRecord]) -> RawText:
    return lambda positions: texts([found[p].text for p in positions.to_pylist()])


def _text_by_line(raw: RawCsvBlock, numbers: pa.Int64Array) -> RawText:
    """The text of the rows of a block that ``check_bytes`` accepted: it is ASCII in whole lines."""

    @cache
    def lines() -> pa.StringArray:
        ends = np.flatnonzero(bytes_of(raw.data) == NEWLINE).astype(np.int32)
        starts = np.concatenate([np.zeros(1, dtype=np.int32), ends + np.int32(1)])
        return pa.Array.from_buffers(pa.string(), len(ends), [None, pa.py_buffer(starts), raw.data])

    def text(positions: pa.Int64Array) -> pa.StringArray:
        chosen = pc.subtract(numbers.take(positions), integers([raw.first_line])[0])
        return pc.ascii_rtrim(lines().take(chosen), "\r\n")

    return text
