"""Generates synthetic months for the demo, tests and benchmarks.

They have the columns and types of the files published at the time, and about the same share of bad
rows, as each trip type defines. No row is a real trip. The same color, month and row count always
give the same file. Memory is limited to one chunk.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic_rows import Chunk, SyntheticMonths
from taxi_platform.trips.types import trip_type

CHUNK_ROWS = 100_000


def default_rows(color: str) -> int:
    """The default number of rows of a synthetic month of a color.

    Raises:
        ValueError: the color has no synthetic months.
    """
    return _synthetic(color).default_rows


def publication_ending(month: TripMonth) -> str:
    """The extension with which a month of that time is published, ``.parquet`` or ``.csv.gz``.

    Raises:
        ValueError: the color has no synthetic months.
    """
    return _synthetic(month.color).ending(month.month)


def write_synthetic_month(month: TripMonth, path: Path, rows: int | None = None) -> None:
    """Writes a synthetic month in the format published at the time.

    Args:
        month: color and month, which are also the random seed.
        path: where to write it; the format depends on the month, not on the extension.
        rows: number of rows; by default ``default_rows`` of the color.

    Raises:
        ValueError: the color has no synthetic months.
    """
    rows = default_rows(month.color) if rows is None else rows
    if publication_ending(month) == ".parquet":
        _write_parquet(month, path, rows)
    else:
        # No file name and no time in the gzip header, so the same month gives the same bytes.
        with path.open("wb") as plain, gzip.GzipFile("", "wb", 1, plain, mtime=0) as packed:
            _write_csv(month, packed, rows)


def synthetic_chunks(month: TripMonth, rows: int) -> Iterator[pa.Table]:
    """Generates the month in tables of at most ``CHUNK_ROWS`` rows, ordered by pickup.

    Bad rows may be out of order.

    Raises:
        ValueError: the color has no synthetic months.
    """
    seed = crc32(f"{month.key} {rows}".encode())
    for start in range(0, rows, CHUNK_ROWS):
        size = min(CHUNK_ROWS, rows - start)
        yield _chunk(month, np.random.default_rng([seed, start]), start, size, rows)


def _synthetic(color: str) -> SyntheticMonths:
    if (synthetic := trip_type(color).synthetic) is None:
        raise ValueError(f"{color} trips have no synthetic months")
    return synthetic


def _chunk(
    month: TripMonth, random: np.random.Generator, start: int, size: int, total: int
) -> pa.Table:
    chunk = Chunk(month.month, month.following, random, start, size, total)
    return _synthetic(month.color).rows(chunk)


def _schema(month: TripMonth) -> pa.Schema:
    return _chunk(month, np.random.default_rng(0), 0, 0, 1).schema


def _write_parquet(month: TripMonth, path: Path, rows: int) -> None:
    with pq.ParquetWriter(path, _schema(month)) as writer:
        for chunk in synthetic_chunks(month, rows):
            writer.write_table(chunk)


def _write_csv(month: TripMonth, packed: gzip.GzipFile, rows: int) -> None:
    packed.write((",".join(_schema(month).names) + "\n").encode())
    options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    for chunk in synthetic_chunks(month, rows):
        schema = pa.schema([pa.field(f.name, _csv_type(f.type)) for f in chunk.schema])
        pa_csv.write_csv(chunk.cast(schema), packed, options)


def _csv_type(published: pa.DataType) -> pa.DataType:
    return pa.timestamp("s") if pa.types.is_timestamp(published) else published
