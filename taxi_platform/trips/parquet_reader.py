"""Published Parquet as a stream of record batches. Cleaning does not belong here."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_platform.trips.arrow_values import FALSE, booleans, texts
from taxi_platform.trips.blocks import BLOCK_ROWS, ParsedBlock, RowSet, canonical_batch, split_block
from taxi_platform.trips.casting import cast_each, cast_whole
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.schema import ColumnMap, map_columns

PARQUET_MAGIC = b"PAR1"

PARQUET_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises on damage; the last for a column's name."""


@dataclass(frozen=True)
class RawParquetBlock:
    """A batch with the file's own names and types; ``first_row`` is counted from 1."""

    batch: pa.RecordBatch
    first_row: int


class ParquetTripReader:
    """A published Parquet file, opened and its schema understood.

    Attributes:
        color: the color whose schema the rows are brought to.
        columns: how the file's columns were mapped.
    """

    def __init__(self, path: Path, color: str, *, block_rows: int = BLOCK_ROWS) -> None:
        """Opens the file and maps its columns.

        Raises:
            TripFileError: the file is damaged, or its columns are not a trip file's.
        """
        self.color = color
        self._path = path
        self._block_rows = block_rows
        try:
            # Without pre-buffering, the compressed pages of one row group at most are in memory.
            self._file = pq.ParquetFile(path, pre_buffer=False)
        except PARQUET_DAMAGE as error:
            raise _damaged(path, error) from error
        try:
            self.columns: ColumnMap = map_columns(self._file.schema_arrow.names, color)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def raw_blocks(self) -> Iterator[RawParquetBlock]:
        """The rows, in order, with the mapped columns only.

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
            raise _damaged(self._path, error) from error

    def parse(self, raw: RawParquetBlock) -> ParsedBlock:
        """Casts a batch: column by column at once if it is clean, else value by value.

        Raises:
            TripFileError: the file is damaged.
        """
        numbers = pa.arange(raw.first_row, raw.first_row + raw.batch.num_rows)
        try:
            batch, bad = _with_valid_text(raw.batch)
        except pa.ArrowInvalid as error:
            raise _damaged(self._path, error) from error
        rows, mapped = batch.num_rows, self.columns.mapped.items()
        try:
            if bad.true_count:
                raise pa.ArrowInvalid("a text is not UTF-8")
            clean = {c.name: cast_whole(batch.column(name), c) for name, c in mapped}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
        else:
            whole = canonical_batch(self.color, clean, rows)
            return ParsedBlock(RowSet(whole, numbers, _no_text))
        arrays: dict[str, pa.Array] = {}
        for name, column in mapped:
            arrays[column.name], bad_here = cast_each(batch.column(name), column)
            bad = pc.or_(bad, bad_here)
        split = split_block(
            canonical_batch(self.color, arrays, rows), numbers, bad, _json_by_position(batch)
        )
        parsed = RowSet(split.parsed.rows, split.parsed.line_numbers, _no_text)
        return ParsedBlock(parsed, split.unparseable)


def _with_valid_text(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.BooleanArray]:
    """A batch whose texts are UTF-8, which Arrow does not check, and the rows where one was not.

    Raises:
        pa.ArrowInvalid: the batch is damaged otherwise.
    """
    bad = pa.repeat(FALSE, batch.num_rows)
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for position, column in enumerate(batch.columns):
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                published = column.cast(pa.large_binary()).to_pylist()
                mended = [None if t is None else t.decode("utf-8", "replace") for t in published]
                differ = [
                    t is not None and (m or "").encode() != t
                    for t, m in zip(published, mended, strict=True)
                ]
                bad = pc.or_(bad, booleans(differ))
                array = texts(mended, column.type)
                batch = batch.set_column(position, batch.schema.field(position), array)
        batch.validate(full=True)
    return batch, bad


def _no_text(positions: Sequence[int]) -> list[str | None]:
    """The canonical columns of a row that was read hold all that the file does."""
    return [None] * len(positions)


def _json_by_position(batch: pa.RecordBatch) -> Callable[[Sequence[int]], list[str | None]]:
    def text(positions: Sequence[int]) -> list[str | None]:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return [
            _json({name: _python(column[p]) for name, column in columns.items()}) for p in positions
        ]

    return text


def _python(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):  # a time beyond Python's calendar, or nanoseconds
        return value.cast(pa.string()).as_py()


def _json(row: dict[str, Any]) -> str:
    # JSON has no NaN and no infinity: as text, so that every JSON reader can read the row.
    odd = {k: str(v) for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    return json.dumps(row | odd, default=str)


def _damaged(path: Path, error: Exception) -> TripFileError:
    reason = str(error).splitlines()[0]
    return TripFileError(f"{path.name} is a damaged Parquet file ({reason}): download it again")
