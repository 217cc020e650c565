"""Reads published Parquet as a stream of record batches."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_platform.trips.arrow_values import FALSE, booleans, texts
from taxi_platform.trips.blocks import (
    BLOCK_ROWS,
    ParsedBlock,
    RawText,
    RowSet,
    canonical_batch,
    split_block,
)
from taxi_platform.trips.byte_streams import PIECE_BYTES, is_gzipped, open_bytes
from taxi_platform.trips.casting import ColumnCast
from taxi_platform.trips.columns import Column
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.failures import FailureSearch, bad_value
from taxi_platform.trips.notes import About, Notes, shown
from taxi_platform.trips.parquet_damage import PARQUET_DAMAGE, damaged, refuse_joined_files
from taxi_platform.trips.schema import ColumnMap, map_columns
from taxi_platform.trips.times import NEW_YORK, UtcTimes
from taxi_platform.trips.units import unit_that_fits

_INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class RawParquetBlock:
    """A batch with the file's own names and types. ``first_row`` counts from 1."""

    batch: pa.RecordBatch
    first_row: int


def open_parquet(path: Path) -> pq.ParquetFile:
    """Opens a Parquet file, which may be gzipped as a whole. The caller closes it.

    Page checksums are verified if the writer stored any. INT96 times are read as microseconds,
    because times outside 1677 to 2262 overflow as nanoseconds.

    Raises:
        TripFileError: the gzip stream around the file is damaged, or several files were joined.
        pa.ArrowException, OSError, UnicodeDecodeError: the Parquet file is damaged.
    """
    source: Path | IO[bytes] = path
    if is_gzipped(path):
        source = _unpacked(path)
    else:
        with path.open("rb") as content:
            refuse_joined_files(path, content)
    # Without pre-buffering, at most one row group's compressed pages are in memory.
    return pq.ParquetFile(
        source,
        pre_buffer=False,
        page_checksum_verification=True,
        coerce_int96_timestamp_unit="us",
    )


def _unpacked(path: Path) -> IO[bytes]:
    """Decompresses a gzipped file into an unnamed one: Parquet needs random access."""
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the Parquet reader closes it
    try:
        with open_bytes(path) as packed:
            shutil.copyfileobj(packed, unpacked, PIECE_BYTES)
        refuse_joined_files(path, unpacked)
    except BaseException:
        unpacked.close()
        raise
    unpacked.seek(0)
    return unpacked


class ParquetTripReader:
    """An open Parquet file whose schema has been mapped.

    Attributes:
        color: the color whose schema the rows are cast to.
        columns: how the file's columns were mapped.
    """

    def __init__(
        self,
        path: Path,
        color: str,
        *,
        block_rows: int = BLOCK_ROWS,
        utc_times: UtcTimes = "wall_time",
    ) -> None:
        """Opens the file and maps its columns.

        Raises:
            TripFileError: the file is damaged, or lacks a trip file's columns.
        """
        self.color = color
        self._path = path
        self._block_rows = block_rows
        self._utc_times = utc_times
        try:
            self._file = open_parquet(path)
        except PARQUET_DAMAGE as error:
            raise damaged(path, error) from error
        try:
            self.columns: ColumnMap = map_columns(self._file.schema_arrow.names, color, path.name)
            self._int96 = _int96_columns(self._file)
            for name, column in self.columns.mapped.items():
                self._refuse_type(name, column)
        except BaseException:
            self.close()
            raise

    def _refuse_type(self, name: str, column: Column) -> None:
        """Refuses a file with a column of an unusable type, unless the column is all null."""
        type_ = self._file.schema_arrow.field(name).type
        if pa.types.is_timestamp(column.type) and _counts(type_):
            value = self._first_value(name)
            if value is not None:
                kind = "dates without a time of day" if pa.types.is_date(type_) else "numbers"
                fits = None if pa.types.is_date(type_) else unit_that_fits(float(value))
                raise TripFileError(
                    f"{self._path.name}: {shown(name)} contains {kind} ({type_}) instead of times: "
                    f"the first is {value}{f'; {fits}' if fits else ''}. "
                    "Write the column as a timestamp"
                )
        if pa.types.is_floating(column.type) and pa.types.is_float16(type_):
            value = self._first_value(name)
            if value is not None:
                raise TripFileError(
                    f"{self._path.name}: {shown(name)} contains 16-bit floats, which have 3 "
                    f"digits: the first is {value}. Write the column as a double"
                )

    def _first_value(self, name: str) -> Any:
        """The first value of a column that is neither null nor NaN; None if there is none."""
        try:
            for batch in self._file.iter_batches(self._block_rows, columns=[name]):
                for value in batch.column(0).drop_null():
                    python = value.as_py()
                    if not (isinstance(python, float) and math.isnan(python)):
                        return python
        except PARQUET_DAMAGE as error:
            raise damaged(self._path, error) from error
        return None

    def close(self) -> None:
        """Closes the file."""
        self._file.close(force=True)

    def raw_blocks(self) -> Iterator[RawParquetBlock]:
        """Yields the rows in order, with the mapped columns only.

        Raises:
            TripFileError: the file is damaged.
        """
        first_row = 1
        try:
            for batch in self._file.iter_batches(
                self._block_rows, columns=list(self.columns.mapped), use_threads=False
            ):
                yield RawParquetBlock(batch, first_row)
                first_row += batch.num_rows
        except PARQUET_DAMAGE as error:
            raise damaged(self._path, error) from error

    def parse(self, raw: RawParquetBlock) -> ParsedBlock:
        """Casts a batch: whole columns if they are clean, otherwise value by value.

        Raises:
            TripFileError: the file is damaged.
        """
        numbers = pa.arange(raw.first_row, raw.first_row + raw.batch.num_rows)
        try:
            batch, bad = _with_valid_text(raw.batch)
        except pa.ArrowInvalid as error:
            raise damaged(self._path, error) from error
        notes = Notes()
        try:
            if bad.true_count:
                raise pa.ArrowInvalid("a text is not UTF-8")
            clean = {
                column.name: self._cast(column, notes).whole(self._source(batch, name, notes))
                for name, column in self.columns.mapped.items()
            }
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return self._parse_each(batch, numbers, bad)
        whole = canonical_batch(self.color, clean, batch.num_rows)
        return ParsedBlock(RowSet(whole, numbers, _no_text), notes=notes)

    def _parse_each(
        self, batch: pa.RecordBatch, numbers: pa.Int64Array, bad: pa.BooleanArray
    ) -> ParsedBlock:
        notes, failures = Notes(), FailureSearch()
        failures.add(bad, lambda _: "a text is not UTF-8")
        arrays: dict[str, pa.Array] = {}
        for name, column in self.columns.mapped.items():
            source = self._source(batch, name, notes)
            arrays[column.name], bad_here = self._cast(column, notes).each(source)
            failures.add(bad_here, _describer(name, batch.column(name), column))
            bad = pc.or_(bad, bad_here)
        split = split_block(
            canonical_batch(self.color, arrays, batch.num_rows),
            numbers,
            bad,
            _json_by_position(batch),
        )
        parsed = RowSet(split.parsed.rows, split.parsed.line_numbers, _no_text)
        return ParsedBlock(parsed, split.unparseable, notes, failures.first(numbers))

    def _cast(self, column: Column, notes: Notes) -> ColumnCast:
        return ColumnCast(column, self._utc_times, notes)

    def _source(self, batch: pa.RecordBatch, name: str, notes: Notes) -> pa.Array:
        """A column as it is in the file, with INT96 times converted as ``utc_times`` says."""
        array = batch.column(name)
        if name not in self._int96 or array.null_count == len(array):
            return array
        first = array.drop_null()[0].cast(pa.string()).as_py()
        convert = self._utc_times == "convert"
        about = About.INT96_CONVERTED if convert else About.INT96_AS_WALL_TIME
        notes.add(about, self.columns.mapped[name].name, len(array) - array.null_count, first)
        # Labeled with New York's zone, so that the cast does not report it as labeled UTC.
        return array.cast(_INSTANT).cast(pa.timestamp("us", NEW_YORK)) if convert else array


def _int96_columns(file: pq.ParquetFile) -> frozenset[str]:
    columns = (file.schema.column(n) for n in range(len(file.schema)))
    return frozenset(c.path for c in columns if c.physical_type == "INT96")


def _counts(type_: pa.DataType) -> bool:
    """Whether values of a type are numbers or dates, which count from some epoch."""
    return any(
        test(type_)
        for test in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
            pa.types.is_date,
        )
    )


def _describer(published: str, values: pa.Array, column: Column) -> Callable[[int], str]:
    return lambda position: bad_value(published, str(_python(values[position])), column)


def _with_valid_text(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.BooleanArray]:
    """Replaces invalid UTF-8 in texts and bytes, and returns a mask of the rows with any.

    Raises:
        pa.ArrowInvalid: the batch is damaged in another way.
    """
    bad = pa.repeat(FALSE, batch.num_rows)
    is_checked = _is_valid(batch)  # Arrow does not check texts when it reads them.
    for position, column in enumerate(batch.columns):
        if is_checked and not (_is_bytes(column.type) and not _is_utf_8(column)):
            continue
        if _is_bytes(column.type) or _is_text(column.type):
            column, bad_here = _mended(column)
            bad = pc.or_(bad, bad_here)
            batch = batch.set_column(position, batch.schema.names[position], column)
    if not is_checked:
        batch.validate(full=True)
    return batch, bad


def _is_valid(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _is_bytes(type_.value_type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(type_) for test in tests)


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def _is_utf_8(array: pa.Array) -> bool:
    plain = array.dictionary if pa.types.is_dictionary(array.type) else array
    try:
        plain.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _mended(array: pa.Array) -> tuple[pa.Array, pa.BooleanArray]:
    """The array as text, with U+FFFD for invalid UTF-8, and a mask of the values with any."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    published = array.cast(pa.large_binary()).to_pylist()
    mended = [None if t is None else t.decode("utf-8", "replace") for t in published]
    differ = [
        t is not None and (m or "").encode() != t for t, m in zip(published, mended, strict=True)
    ]
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    return texts(mended, pa.large_string() if large else pa.string()), booleans(differ)


def _no_text(positions: pa.Int64Array) -> pa.StringArray:
    """No raw text: the canonical columns of a parsed row contain everything in the file."""
    return pa.nulls(len(positions), pa.string())


def _json_by_position(batch: pa.RecordBatch) -> RawText:
    def text(positions: pa.Int64Array) -> pa.StringArray:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return texts(
            [
                _json({name: _python(column[p]) for name, column in columns.items()})
                for p in positions.to_pylist()
            ]
        )

    return text


def _python(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):  # a time outside Python's range, or nanoseconds
        return value.cast(pa.string()).as_py()


def _json(row: dict[str, Any]) -> str:
    # JSON has no NaN or infinity: they are written as text, so that any JSON parser can read them.
    odd = {k: str(v) for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    return json.dumps(row | odd, default=str)
