"""Generates synthetic months of green and yellow taxis.

Gzipped CSV before 2022, Parquet since. Bad values are like the published ones, in about the same
shares: the null block, reversals with negative amounts, missing and zero passenger counts, reset
clocks, late reports, dropoffs before pickups, unknown zones and rates, absurd distances.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from taxi_platform.trips.synthetic_rows import (
    Chunk,
    Mask,
    SyntheticMonths,
    Values,
    pickups_in_order,
    typical_mph,
    zones_of_trips,
)

FIRST_PARQUET_MONTH = date(2022, 1, 1)
"""The TLC publishes Parquet since then. The mirror has gzipped CSV of earlier months."""

CBD_FEE = date(2025, 1, 1)
"""Since then the TLC's files have a column for the congestion relief zone charge."""

_PARQUET_TYPES = {
    "VendorID": pa.int32(),
    "PULocationID": pa.int32(),
    "DOLocationID": pa.int32(),
    "RatecodeID": pa.float64(),
    "passenger_count": pa.float64(),
    "payment_type": pa.float64(),
    "trip_type": pa.float64(),
}
"""As in 2024: identifiers are integers, and codes that can be missing are doubles."""

_CBD_ZONES = (4, 13, 48, 68, 79, 90, 107, 161, 162, 163, 170, 186, 230, 234, 249)
"""Some of the zones south of 60th Street."""

_NULL_BLOCK = (
    "passenger_count",
    "RatecodeID",
    "store_and_fwd_flag",
    "payment_type",
    "congestion_surcharge",
    "trip_type",
    "Airport_fee",
)


@dataclass(frozen=True)
class _Times:
    pickups: Any
    seconds: Any


def synthetic_metered_months(
    default_rows: int, csv_columns: str, parquet_columns: str = "", manhattan: float = 0.7
) -> SyntheticMonths:
    """The synthetic months of a taxi with a meter.

    Args:
        default_rows: default number of rows per month.
        csv_columns: the column names in the published CSVs, in order, separated by blanks.
        parquet_columns: additional columns in Parquet.
        manhattan: the share of pickups in Manhattan.
    """
    csv_names, more = csv_columns.split(), parquet_columns.split()

    def rows(chunk: Chunk) -> pa.Table:
        parquet = chunk.first_day >= FIRST_PARQUET_MONTH
        charged = ["cbd_congestion_fee"] if chunk.first_day >= CBD_FEE else []
        names = [*csv_names, *more, *charged] if parquet else csv_names
        return _rows(chunk, names, manhattan, parquet=parquet)

    return SyntheticMonths(default_rows, _ending, rows)


def _ending(first_day: date) -> str:
    return ".parquet" if first_day >= FIRST_PARQUET_MONTH else ".csv.gz"


def _rows(chunk: Chunk, names: list[str], manhattan: float, *, parquet: bool) -> pa.Table:
    random, size = chunk.random, chunk.size
    times = _times(chunk)
    missing = random.random(size) < (0.08 if chunk.first_day >= date(2020, 4, 1) else 0.0)
    columns = _trips(chunk, times, missing, manhattan)
    _add_reversals(random, columns, missing, size)
    _set_total(columns)
    if chunk.first_day >= CBD_FEE:
        charged = np.isin(columns["PULocationID"][0], _CBD_ZONES)
        columns["cbd_congestion_fee"] = (np.where(charged, 0.75, 0.0), None)
    for name in _NULL_BLOCK:
        columns[name] = (columns[name][0], missing)
    if not parquet:
        for name in ("VendorID", "payment_type"):
            columns[name] = (columns[name][0], missing)
    published = {name: columns[_plain(name)] for name in names}
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


def _times(chunk: Chunk) -> _Times:
    random, size = chunk.random, chunk.size
    first = np.datetime64(chunk.first_day, "s")
    pickups = pickups_in_order(chunk)
    seconds = np.clip(random.lognormal(6.5, 0.7, size), 20, 4 * 3600).astype(np.int64)
    strays = random.random(size)
    pickups = np.where(strays < 0.0001, np.datetime64("2008-12-31T23:02", "s"), pickups)
    pickups = np.where(
        (strays >= 0.0001) & (strays < 0.0004), first - np.timedelta64(1800, "s"), pickups
    )
    seconds = np.where((strays >= 0.0004) & (strays < 0.0006), -seconds, seconds)
    seconds = np.where((strays >= 0.0006) & (strays < 0.0026), 23 * 3600 + 3000, seconds)
    return _Times(pickups.astype("datetime64[us]"), seconds)


def _trips(chunk: Chunk, times: _Times, missing: Mask, manhattan: float) -> dict[str, Values]:
    random, size = chunk.random, chunk.size
    mph = typical_mph(times.pickups) * random.normal(1, 0.22, size).clip(0.2)
    miles = np.round(np.abs(times.seconds) / 3600 * mph, 2)
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
    zones = zones_of_trips(chunk, manhattan)
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
    random: np.random.Generator, columns: dict[str, Values], missing: Mask, size: int
) -> None:
    """Replaces some rows with the previous row with opposite signs, like voided trips."""
    hit = np.flatnonzero((random.random(size) < 0.003) & ~missing)
    hit = hit[(hit > 0)]
    hit = hit[~missing[hit - 1]]
    for name, (values, _) in columns.items():
        source = values[hit - 1]
        values[hit] = -source if name in _AMOUNTS else source
    columns["payment_type"][0][hit] = random.choice([3, 4], len(hit))


def _set_total(columns: dict[str, Values]) -> None:
    parts = [columns[name][0] for name in _AMOUNTS if name != "Airport_fee"]
    columns["total_amount"] = (np.round(np.sum(parts, axis=0), 2), None)
