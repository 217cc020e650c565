"""Months that look like the TLC's and are not: seeded, for the demo, tests and benchmarks.

Their shape is the published one (gzipped CSV before 2022, Parquet since), and so is their dirt, in
about the published shares: the null block, reversals with negative amounts, unrecorded and zero
passengers, reset clocks, stragglers, dropoffs before pickups, unknown zones and rates, absurd
distances. No row is a real trip. The same color, month and row count give the same file.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from taxi_platform.trips.month import TripMonth

DEFAULT_ROWS = {"green": 60_000, "yellow": 400_000}

CHUNK_ROWS = 100_000

FIRST_PARQUET_MONTH = date(2022, 1, 1)
"""The TLC has published Parquet since; what the mirror has of earlier months is gzipped CSV."""

DAY_SECONDS = 86_400

_HOURS = np.array(
    [36, 25, 18, 12, 9, 10, 22, 37, 47, 47, 46, 48, 51, 51, 53, 53, 49, 57, 65, 63, 57, 57, 54, 46],
    dtype=np.float64,
)
"""Pickups by hour of the day: a trough before dawn, a peak in the early evening."""

_GREEN = (
    "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID "
    "PULocationID DOLocationID passenger_count trip_distance fare_amount extra mta_tax tip_amount "
    "tolls_amount ehail_fee improvement_surcharge total_amount payment_type trip_type "
    "congestion_surcharge"
).split()
_YELLOW = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID "
    "store_and_fwd_flag PULocationID DOLocationID payment_type fare_amount extra mta_tax "
    "tip_amount tolls_amount improvement_surcharge total_amount congestion_surcharge"
).split()

_PARQUET_TYPES = {
    "VendorID": pa.int32(),
    "PULocationID": pa.int32(),
    "DOLocationID": pa.int32(),
    "RatecodeID": pa.float64(),
    "passenger_count": pa.float64(),
    "payment_type": pa.float64(),
    "trip_type": pa.float64(),
}
"""As in 2024: identifiers are integers, codes that can be missing are doubles."""

_NULL_BLOCK = (
    "passenger_count",
    "RatecodeID",
    "store_and_fwd_flag",
    "payment_type",
    "congestion_surcharge",
    "trip_type",
    "Airport_fee",
)

Mask = NDArray[np.bool_]
Column = tuple[Any, Mask | None]
"""Values, and where they are missing."""


@dataclass(frozen=True)
class _Times:
    pickups: Any
    seconds: Any


def publication_ending(month: TripMonth) -> str:
    """The ending under which a month of that time is published."""
    return ".parquet" if month.month >= FIRST_PARQUET_MONTH else ".csv.gz"


def write_synthetic_month(month: TripMonth, path: Path, rows: int | None = None) -> None:
    """Writes a synthetic month in the published shape of its time.

    Args:
        month: color and month; they are the seed.
        path: where to; the format follows the month, not the name.
        rows: how many; by default ``DEFAULT_ROWS`` of the color.
    """
    rows = DEFAULT_ROWS[month.color] if rows is None else rows
    if publication_ending(month) == ".parquet":
        _write_parquet(month, path, rows)
    else:
        # No file name and no time in the header: the same month gives the same bytes.
        with path.open("wb") as plain, gzip.GzipFile("", "wb", 1, plain, mtime=0) as packed:
            _write_csv(month, packed, rows)


def _write_parquet(month: TripMonth, path: Path, rows: int) -> None:
    schema = _chunk(month, np.random.default_rng(0), 0, 0, 1).schema
    with pq.ParquetWriter(path, schema) as writer:
        for chunk in synthetic_chunks(month, rows):
            writer.write_table(chunk)


def _write_csv(month: TripMonth, packed: gzip.GzipFile, rows: int) -> None:
    packed.write((",".join(_columns(month)) + "\n").encode())
    options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    for chunk in synthetic_chunks(month, rows):
        schema = pa.schema([pa.field(f.name, _csv_type(f.type)) for f in chunk.schema])
        pa_csv.write_csv(chunk.cast(schema), packed, options)


def _csv_type(published: pa.DataType) -> pa.DataType:
    return pa.timestamp("s") if pa.types.is_timestamp(published) else published


def _columns(month: TripMonth) -> list[str]:
    if month.color == "green":
        return _GREEN
    return [*_YELLOW, "Airport_fee"] if publication_ending(month) == ".parquet" else _YELLOW


def synthetic_chunks(month: TripMonth, rows: int) -> Iterator[pa.Table]:
    """The month in tables of at most ``CHUNK_ROWS`` rows, in order of pickup but for the dirt."""
    seed = crc32(f"{month.key} {rows}".encode())
    for start in range(0, rows, CHUNK_ROWS):
        size = min(CHUNK_ROWS, rows - start)
        yield _chunk(month, np.random.default_rng([seed, start]), start, size, rows)


def _chunk(
    month: TripMonth, random: np.random.Generator, start: int, size: int, total: int
) -> pa.Table:
    parquet = publication_ending(month) == ".parquet"
    times = _times(month, random, start, size, total)
    missing = random.random(size) < (0.08 if month.month >= date(2020, 4, 1) else 0.0)
    columns = _trips(random, times, missing, size)
    _add_reversals(random, columns, missing, size)
    _set_total(columns)
    names = _columns(month)
    for name in _NULL_BLOCK:
        columns[name] = (columns[name][0], missing)
    if not parquet:
        for name in ("VendorID", "payment_type"):
            columns[name] = (columns[name][0], missing)
    published = {
        name: columns[_plain(name)] if _plain(name) in columns else columns[name] for name in names
    }
    return pa.table(
        {name: _array(name, *column, parquet=parquet) for name, column in published.items()}
    )


def _plain(name: str) -> str:
    return name.removeprefix("lpep_").removeprefix("tpep_")


def _array(name: str, values: Any, missing: Mask | None, *, parquet: bool) -> pa.Array:
    array = pa.array(values, mask=missing)
    if parquet and name in _PARQUET_TYPES:
        return array.cast(_PARQUET_TYPES[name])
    return array


def _times(
    month: TripMonth, random: np.random.Generator, start: int, size: int, total: int
) -> _Times:
    first = np.datetime64(month.month, "s")
    days = (month.following - month.month).days
    # Rows come in the order of their days, as published; within a day by its hours.
    day = ((start + np.arange(size)) * days // max(total, 1)).astype(np.int64)
    hour = random.choice(24, size, p=_HOURS / _HOURS.sum())
    offset = day * DAY_SECONDS + hour * 3600 + random.integers(0, 3600, size)
    order = np.argsort(offset, kind="stable")
    pickups = first + offset[order].astype("timedelta64[s]")
    seconds = np.clip(random.lognormal(6.5, 0.7, size), 20, 4 * 3600).astype(np.int64)
    strays = random.random(size)
    pickups = np.where(strays < 0.0001, np.datetime64("2008-12-31T23:02", "s"), pickups)
    pickups = np.where(
        (strays >= 0.0001) & (strays < 0.0004), first - np.timedelta64(1800, "s"), pickups
    )
    seconds = np.where((strays >= 0.0004) & (strays < 0.0006), -seconds, seconds)
    seconds = np.where((strays >= 0.0006) & (strays < 0.0026), 23 * 3600 + 3000, seconds)
    return _Times(pickups.astype("datetime64[us]"), seconds)


def _trips(
    random: np.random.Generator, times: _Times, missing: Mask, size: int
) -> dict[str, Column]:
    miles = np.round(np.abs(times.seconds) / 3600 * random.normal(11.5, 2.5, size).clip(2), 2)
    miles = np.where(random.random(size) < 0.02, 0.0, miles)
    miles = np.where(missing & (random.random(size) < 0.001), 112_337.65, miles)
    fare = (
        np.round(
            (3 + 2.5 * miles.clip(max=40) + 0.3 * np.abs(times.seconds).clip(max=7200) / 60) * 2
        )
        / 2
    )
    card = random.random(size) < 0.68
    odd = random.random(size)
    payment = np.where(card, 1, np.where(odd < 0.95, 2, np.where(odd < 0.975, 3, 4)))
    tip = np.where(card, np.round(fare * random.choice([0.0, 0.15, 0.2, 0.25], size), 2), 0.0)
    zones = np.minimum(random.zipf(1.15, (2, size)) * 37 % 263 + 1, 263)
    zones = np.where(random.random((2, size)) < 0.012, random.integers(264, 266, (2, size)), zones)
    rate = random.choice([1, 2, 3, 4, 5, 99], size, p=[0.94, 0.03, 0.005, 0.003, 0.0215, 0.0005])
    flag = np.where(random.random(size) < 0.006, "Y", "N")
    passengers = random.choice(
        [1, 2, 3, 4, 5, 6, 0], size, p=[0.78, 0.12, 0.03, 0.01, 0.03, 0.022, 0.008]
    )
    vendor = random.choice([1, 2], size, p=[0.3, 0.7])
    return {
        "VendorID": (vendor, None),
        "pickup_datetime": (times.pickups, None),
        "dropoff_datetime": (times.pickups + times.seconds.astype("timedelta64[s]"), None),
        "store_and_fwd_flag": (flag, None),
        "RatecodeID": (rate, None),
        "PULocationID": (zones[0], None),
        "DOLocationID": (zones[1], None),
        "passenger_count": (passengers, None),
        "trip_distance": (miles, None),
        "fare_amount": (fare, None),
        "extra": (random.choice([0.0, 0.5, 1.0, 2.5], size), None),
        "mta_tax": (np.full(size, 0.5), None),
        "tip_amount": (tip, None),
        "tolls_amount": (np.where(random.random(size) < 0.05, 6.55, 0.0), None),
        "ehail_fee": (np.zeros(size), np.ones(size, dtype=np.bool_)),
        "improvement_surcharge": (np.full(size, 0.3), None),
        "payment_type": (payment, None),
        "trip_type": (np.where(random.random(size) < 0.96, 1, 2), None),
        "congestion_surcharge": (random.choice([0.0, 2.5, 2.75], size), None),
        "Airport_fee": (np.where(random.random(size) < 0.08, 1.75, 0.0), None),
    }


_AMOUNTS = (
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "improvement_surcharge",
    "congestion_surcharge",
    "Airport_fee",
)


def _add_reversals(
    random: np.random.Generator, columns: dict[str, Column], missing: Mask, size: int
) -> None:
    """Turns some rows into their predecessor with the opposite sign, as a voided trip appears."""
    hit = np.flatnonzero((random.random(size) < 0.003) & ~missing)
    hit = hit[(hit > 0)]
    hit = hit[~missing[hit - 1]]
    for name, (values, _) in columns.items():
        source = values[hit - 1]
        values[hit] = -source if name in _AMOUNTS else source
    columns["payment_type"][0][hit] = random.choice([3, 4], len(hit))


def _set_total(columns: dict[str, Column]) -> None:
    parts = [columns[name][0] for name in _AMOUNTS if name != "Airport_fee"]
    columns["total_amount"] = (np.round(np.sum(parts, axis=0), 2), None)
