"""Opens a published trip file of any format: tells what it is by its content, not its name.

What each format is like is the business of ``csv_reader`` and ``parquet_reader``.
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
from taxi_platform.trips.parquet_reader import (
    PARQUET_DAMAGE,
    PARQUET_MAGIC,
    ParquetTripReader,
    open_parquet,
)
from taxi_platform.trips.schema import color_of_header
from taxi_platform.trips.signatures import what_it_is
from taxi_platform.trips.times import UtcTimes
from taxi_platform.trips.types import trip_type


def open_trip_file(
    path: Path, color: str | None = None, *, utc_times: UtcTimes = "wall_time"
) -> BlockReader:
    """Opens a trip file: Parquet or CSV, either of them gzipped or not.

    Args:
        path: the file.
        color: the color that it is expected to be; by default what its header or name says.
        utc_times: how times are read that are labelled UTC.

    Raises:
        TripFileError: it is not a trip file, of another color, or damaged.
    """
    try:
        start = read_first_bytes(path, LONGEST_LINE)
    except OSError as error:
        raise TripFileError(f"{path}: {error.strerror}") from error
    if not start:
        raise TripFileError(f"{path.name} is empty")
    if refusal := what_it_is(start):
        raise TripFileError(f"{path.name} {refusal}")
    is_parquet = start.startswith(PARQUET_MAGIC)
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
        reason = str(error).splitlines()[0]
        raise TripFileError(
            f"{path.name} is a damaged or truncated Parquet file ({reason}): download it again"
        ) from error


def _settle_color(path: Path, expected: str | None, header: list[str]) -> str:
    found = color_of_header(header)
    if expected and found and expected != found:
        raise TripFileError(f"{path.name} is a {found} trip file, where a {expected} one belongs")
    color = expected or found or parse_file_name(path.name)[0]
    if color is None:
        raise TripFileError(
            f"{path.name} is not a trip file: neither its header nor its name tells a color; "
            f"it begins {', '.join(header)[:200].strip()!r}"
        )
    return color


def infer_month(path: Path, reader: BlockReader) -> TripMonth:
    """The month of a file: what its name says, else the commonest pickup month of its start.

    Raises:
        TripFileError: neither tells.
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
            raise TripFileError(f"{path.name}: neither name nor pickups tell the month")
        month = counts.most_common(1)[0][0]
    return TripMonth(reader.color, month)
