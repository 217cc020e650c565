"""Writes small published files for tests, and reads them."""

import codecs
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, settings

from taxi_platform.trips.blocks import BlockReader
from taxi_platform.trips.cleaning import CleanedTrips, CleaningOptions, CleaningSummary
from taxi_platform.trips.csv_reader import BLOCK_BYTES, CsvTripReader
from taxi_platform.trips.month import TripMonth

bounded = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The same examples in every run, and few enough to be fast."""

METERED = ("green", "yellow")
"""The trip types that share most of their columns."""

GREEN = TripMonth("green", date(2020, 1, 1))

HEADER = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,"
    "PULocationID,DOLocationID,passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,"
    "tolls_amount,ehail_fee,improvement_surcharge,total_amount,payment_type,trip_type,"
    "congestion_surcharge"
)
"""Green's header since 2019."""

NAMES = HEADER.split(",")

TRIP: Mapping[str, str] = dict(
    zip(
        NAMES,
        "2,2020-01-15 18:01:02,2020-01-15 18:21:03,N,1,74,75,1,2.5,9.5,0.5,0.5,2.1,0,,0.3,12.9,1,1,"
        "0".split(","),
        strict=True,
    )
)
"""A green trip that breaks no rule."""


def trip(**changes: str) -> str:
    """A published row like ``TRIP``, with some fields changed."""
    unknown = set(changes) - set(NAMES)
    assert not unknown, unknown
    return ",".join({**TRIP, **changes}.values())


def local(text: str) -> datetime:
    """A published time: New York local time without a zone."""
    return datetime.fromisoformat(text)


def numbered(count: int) -> list[str]:
    """Rows whose distance is their index, from 0."""
    return [trip(trip_distance=f"{position}.0") for position in range(count)]


def write_csv(
    path: Path, rows: Iterable[str | bytes], *, header: str = HEADER, newline: bytes = b"\n"
) -> Path:
    """Writes a header and rows, each with a newline. Gzipped if the name ends in ``.gz``."""
    lines = [line.encode() if isinstance(line, str) else line for line in (header, *rows)]
    return write_bytes(path, b"".join(line + newline for line in lines))


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file. Gzipped if the name ends in ``.gz``."""
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def green_table(rows: int = 1, **columns: Any) -> pa.Table:
    """Rows of ``TRIP`` with the names and types of green's Parquet of 2024.

    A list or array replaces the column of that name, including its type.
    """
    instant = pa.timestamp("us")
    types = {
        **dict.fromkeys(NAMES, pa.float64()),
        **dict.fromkeys(("VendorID", "PULocationID", "DOLocationID"), pa.int32()),
        **dict.fromkeys(("lpep_pickup_datetime", "lpep_dropoff_datetime"), instant),
        "store_and_fwd_flag": pa.large_string(),
    }
    values = {
        name: pa.array([_typed(TRIP[name], type_)] * rows, type=type_)
        for name, type_ in types.items()
    }
    return pa.table({**values, **columns})


def _typed(text: str, type_: pa.DataType) -> Any:
    if not text:
        return None
    if pa.types.is_timestamp(type_):
        return local(text)
    if pa.types.is_large_string(type_):
        return text
    return int(text) if pa.types.is_integer(type_) else float(text)


def write_parquet(path: Path, table: pa.Table) -> Path:
    """Writes a Parquet file."""
    pq.write_table(table, path)
    return path


@dataclass(frozen=True)
class Parsed:
    """Everything that a reader returned.

    Attributes:
        rows: the parsed rows.
        lines: their line numbers.
        bad: line number and text of each unparseable row.
        bad_rows: the values of the unparseable rows that could be parsed.
    """

    rows: pa.Table
    lines: list[int]
    bad: list[tuple[int, str | None]]
    bad_rows: pa.Table

    def column(self, name: str) -> list[Any]:
        """The values of a canonical column."""
        return list(self.rows[name].to_pylist())


def parse_all(reader: BlockReader) -> Parsed:
    """Reads a file to its end and closes it."""
    try:
        blocks = [reader.parse(raw) for raw in reader.raw_blocks()]
    finally:
        reader.close()
    bad = [block.unparseable for block in blocks if block.unparseable is not None]
    assert sum(b.rows_read for b in blocks) == sum(len(b.parsed) for b in blocks) + sum(
        map(len, bad)
    )
    return Parsed(
        pa.Table.from_batches(b.parsed.rows for b in blocks),
        [n for b in blocks for n in b.parsed.line_numbers.to_pylist()],
        [
            pair
            for rows in bad
            for pair in zip(
                rows.line_numbers.to_pylist(),
                rows.raw_text(pa.arange(0, len(rows))).to_pylist(),
                strict=True,
            )
        ],
        pa.Table.from_batches((rows.rows for rows in bad), schema=blocks[0].parsed.rows.schema),
    )


def parse_csv(path: Path, block_bytes: int = BLOCK_BYTES, color: str = "green") -> Parsed:
    """Reads a CSV file in blocks of a given size."""
    return parse_all(CsvTripReader(path, color, block_bytes=block_bytes))


@dataclass(frozen=True)
class Cleaned:
    """Everything that cleaning returned."""

    kept: pa.Table
    rejected: pa.Table
    summary: CleaningSummary

    def reasons(self) -> list[list[str]]:
        """The reasons of each rejected row."""
        return list(self.rejected["reject_reasons"].to_pylist())


def collect(trips: CleanedTrips) -> Cleaned:
    """Iterates to the end and collects the batches."""
    batches = list(trips)
    return Cleaned(
        pa.Table.from_batches(b.kept for b in batches),
        pa.Table.from_batches(b.rejected for b in batches),
        trips.summary,
    )


LENIENT = CleaningOptions(max_rejected_share=1.0)


def clean_csv(
    path: Path,
    block_bytes: int = BLOCK_BYTES,
    options: CleaningOptions = LENIENT,
    month: TripMonth = GREEN,
) -> Cleaned:
    """Cleans a CSV file in blocks of a given size."""
    reader = CsvTripReader(path, month.color, block_bytes=block_bytes)
    return collect(CleanedTrips(reader, month, options, path.name, None))


def data_lines(content: bytes) -> Sequence[tuple[int, str]]:
    """The non-blank lines below the header, with line numbers, without using the reader."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        content = content.decode("utf-16", "replace").encode()
    lines = enumerate(content.split(b"\n"), 1)
    return [
        (n, line.rstrip(b"\r").decode("utf-8", "replace"))
        for n, line in lines
        if n > 1 and line.strip(b"\r")
    ]
