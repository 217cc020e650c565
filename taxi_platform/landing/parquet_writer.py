"""Writes Parquet files of trips as a stream.

The encodings were chosen by measurement; docs/performance.md has the figures.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.trips.blocks import REJECT_REASONS
from taxi_platform.trips.types import trip_type

ROW_GROUP_ROWS = 131_072
"""About 20 MB of canonical columns. Two row groups are in memory: one is being written while the
next is filled."""

_WRITE_BATCH_SIZE = 1 << 14
"""Number of values encoded at a time. pyarrow's default of 1,024 is slower."""


class RowGroupWriter:
    """Collects batches into row groups of a fixed size, which limits its memory.

    A row group is written in one of the pool's threads while the next is collected.
    """

    def __init__(self, writer: pq.ParquetWriter, pool: ThreadPoolExecutor) -> None:
        self._writer = writer
        self._pool = pool
        self._being_written: Future[None] | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the next rows.

        Raises:
            OSError: an earlier row group could not be written.
        """
        if batch.num_rows == 0:
            return
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._hand_over()

    def finish(self, metadata: dict[str, str] | None = None) -> None:
        """Writes the remaining rows, and metadata into the footer.

        Raises:
            OSError: the rows could not be written.
        """
        if self._waiting:
            self._hand_over()
        self._wait()
        if metadata:
            self._writer.add_key_value_metadata(metadata)

    def _hand_over(self) -> None:
        self._wait()
        row_group = pa.Table.from_batches(self._waiting)
        self._being_written = self._pool.submit(self._writer.write_table, row_group, self._rows)
        self._waiting, self._rows = [], 0

    def _wait(self) -> None:
        if self._being_written:
            self._being_written.result()

    def abandon(self) -> None:
        """Waits until nothing is being written; errors are of no interest any more."""
        if self._being_written and not self._being_written.cancel():
            wait([self._being_written])


def _repeating(color: str) -> list[str]:
    """Columns with repeated values, and the reject reasons.

    A dictionary makes them as small as compression would, and is faster to read. Times and
    coordinates hardly repeat: they are compressed instead.
    """
    repeating = [c.name for c in trip_type(color).all_columns if not c.varied]
    return [*repeating, f"{REJECT_REASONS}.list.element"]


def _with_extremes(color: str) -> list[str]:
    """Columns whose minimum and maximum let a reader skip row groups: times and zones.

    Amounts do not, because nearly every row group contains nearly every amount.
    """
    kind = trip_type(color)
    times = [kind.time_column, kind.end_time_column]
    return [*(name for name in times if name), *kind.location_columns]


@contextmanager
def parquet_file(
    path: Path, schema: pa.Schema, color: str, pool: ThreadPoolExecutor
) -> Iterator[RowGroupWriter]:
    """Opens a file for writing; the block must call ``finish``.

    Args:
        path: the file.
        schema: the schema of its rows: the color's, or that of rejected rows.
        color: its columns define the encodings.
        pool: in whose threads it is written.
    """
    repeating = _repeating(color)
    names = [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in schema]
    with (
        # Closed separately: a writer that fails to write its footer leaves its file open.
        pa.OSFile(str(path), "wb") as file,
        pq.ParquetWriter(
            file,
            schema,
            use_dictionary=repeating,
            compression={name: "none" if name in repeating else "zstd" for name in names},
            compression_level={name: 1 for name in names if name not in repeating},
            write_statistics=_with_extremes(color),
            write_batch_size=_WRITE_BATCH_SIZE,
        ) as writer,
    ):
        row_groups = RowGroupWriter(writer, pool)
        try:
            yield row_groups
        finally:
            row_groups.abandon()
