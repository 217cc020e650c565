"""Opens a published trip file. Detects its format from its content, not from its name.

``csv_reader`` and ``parquet_reader`` read the formats.
"""

from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow.compute as pc

from taxi_platform.trips.blocks import BlockReader
from taxi_platform.trips.byte_streams import read_first_bytes
from taxi_platform.trips.csv_reader import LONGEST_LINE, CsvTripReader
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.parquet_damage import (
    PARQUET_DAMAGE,
    PARQUET_MAGIC,
    damaged,
    refuse_lost_start,
)
from taxi_platform.trips.parquet_reader import ParquetTripReader, open_parquet
from taxi_platform.trips.schema import color_of_header
from taxi_platform.trips.signatures import identify_file
from taxi_platform.trips.times import UtcTimes
from taxi_platform.trips.types import trip_type


def open_trip_file(
    path: Path, color: str | None = None, *, utc_times: UtcTimes = "wall_time"
) -> BlockReader:
    """Opens a trip file: Parquet or CSV, gzipped or not.

    Args:
        path: the file.
        color: the expected color; by default detected from the header or the name.
        utc_times: how to read times labeled UTC.

    Raises:
        TripFileError: the file is damaged, or is not a trip file of that color.
    """
    try:
        start = read_first_bytes(path, LONGEST_LINE)
    except OSError as error:
        raise TripFileError(f"{path}: {error.strerror}") from error
    if not start:
        raise TripFileError(f"{path.name} is empty: check the source, or try again later")
    if refusal := identify_file(start):
        raise TripFileError(f"{path.name} {refusal}")
    is_parquet = start.startswith(PARQUET_MAGIC)
    if not is_parquet:
        refuse_lost_start(path)
    color = _settle_color(path, color, _header(path, start, is_parquet=is_parquet))
    if is_parquet:
        return ParquetTripReader(path, color, utc_times=utc_times)
    return CsvTripReader(path, color, utc_times=utc_times)


def _header(path: Path, start: bytes, *, is_parquet: bool) -> list[str]:
    if not is_parquet:
        return start.partition(b"\n")[0].decode("utf-8", "replace").split(",")
    try:
        file = open_parquet(path)
        try:
            return list(file.schema_arrow.names)
        finally:
            file.close(force=True)
    except PARQUET_DAMAGE as error:
        raise damaged(path, error) from error


def _settle_color(path: Path, expected: str | None, header: list[str]) -> str:
    found = color_of_header(header)
    if expected and found and expected != found:
        raise TripFileError(f"{path.name} is a {found} trip file, expected a {expected} one")
    color = expected or found or parse_file_name(path.name)[0]
    if color is None:
        raise TripFileError(
            f"{path.name} is not a trip file: neither its header nor its name shows a color; "
            f"it begins {', '.join(header)[:200].strip()!r}"
        )
    return color


def infer_month(path: Path, reader: BlockReader) -> TripMonth:
    """Detects a file's month: from its name, else the most common pickup month of its first rows.

    Raises:
        TripFileError: the month cannot be detected.
    """
    month = parse_file_name(path.name)[1]
    if month is None:
        time_column = trip_type(reader.color).time_column
        counts: Counter[date] = Counter()
        other = open_trip_file(path, reader.color)
        try:
            for raw in other.raw_blocks():
                pickups = other.parse(raw).parsed.rows[time_column].drop_null()
                months = pc.value_counts(pc.floor_temporal(pickups, unit="month")).to_pylist()
                counts.update({m["values"].date(): m["counts"] for m in months})
                break
        finally:
            other.close()
        if not counts:
            raise TripFileError(f"{path.name}: neither its name nor its pickups show the month")
        month = counts.most_common(1)[0][0]
    return TripMonth(reader.color, month)
