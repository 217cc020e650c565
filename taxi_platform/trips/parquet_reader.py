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

from taxi_platform.trips.blocks import ParsedBlock, RowSet, canonical_batch, split_block
from taxi_platform.trips.casting import cast_each, cast_whole
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.schema import ColumnMap, map_columns

BLOCK_ROWS = 16_384

PARQUET_MAGIC = b"PAR1"


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
        except (pa.ArrowException, OSError) as error:
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
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._path, error) from error

    def parse(self, raw: RawParquetBlock) -> ParsedBlock:
        """Casts a batch: column by column at once if it is clean, else value by value."""
        batch, rows = raw.batch, raw.batch.num_rows
        numbers = pa.arange(raw.first_row, raw.first_row + rows)
        mapped = self.columns.mapped.items()
        try:
            clean = {c.name: cast_whole(batch.column(name), c) for name, c in mapped}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
        else:
            whole = canonical_batch(self.color, clean, rows)
            return ParsedBlock(RowSet(whole, numbers, _no_text))
        arrays: dict[str, pa.Array] = {}
        bad = pa.repeat(pa.scalar(False), rows)
        for name, column in mapped:
            arrays[column.name], bad_here = cast_each(batch.column(name), column)
            bad = pc.or_(bad, bad_here)
        split = split_block(
            canonical_batch(self.color, arrays, rows), numbers, bad, _json_by_position(batch)
        )
        parsed = RowSet(split.parsed.rows, split.parsed.line_numbers, _no_text)
        return ParsedBlock(parsed, split.unparseable)


def _no_text(positions: Sequence[int]) -> list[str | None]:
    """The canonical columns of a row that was read hold all that the file does."""
    return [None] * len(positions)


def _json_by_position(batch: pa.RecordBatch) -> Callable[[Sequence[int]], list[str | None]]:
    def text(positions: Sequence[int]) -> list[str | None]:
        return [_json(batch.slice(p, 1).to_pylist()[0]) for p in positions]

    return text


def _json(row: dict[str, Any]) -> str:
    # JSON has no NaN and no infinity: as text, so that every JSON reader can read the row.
    odd = {k: str(v) for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    return json.dumps(row | odd, default=str)


def _damaged(path: Path, error: Exception) -> TripFileError:
    reason = str(error).splitlines()[0]
    return TripFileError(f"{path.name} is a damaged Parquet file ({reason}): download it again")
