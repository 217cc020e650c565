"""Generates synthetic months of high-volume for-hire vehicles.

All months are Parquet, because the TLC republished them all as Parquet. Bad values are like the
published ones: Lyft's rows lack the base that received the request and the driver's arrival, Uber's
have a blank flag, some fares are reversed, some trips have no length, some dropoffs are before
pickups in the repeated hour in fall, and a few clocks are wrong.
"""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from taxi_platform.trips.synthetic_rows import (
    Chunk,
    Mask,
    SyntheticMonths,
    pickups_in_order,
    typical_mph,
    words,
    zones_of_trips,
)

_NEW_TYPES = date(2023, 2, 1)
"""Since then the TLC writes 32-bit zones and large strings; before, 64-bit zones and strings."""

_AIRPORT_FEE = date(2021, 4, 1)
"""When the airport fee was introduced. Earlier months have an empty column for it."""

_CBD_FEE = date(2025, 1, 1)

_COMPANIES = (
    # License, base, share of the trips, first month without it.
    ("HV0003", "B03404", 0.70, None),
    ("HV0005", "B03406", 0.24, None),
    ("HV0004", "B02800", 0.04, date(2022, 1, 1)),
    ("HV0002", "B02914", 0.02, date(2019, 12, 1)),
)
"""Uber, Lyft, Via until December 2021, and Juno until November 2019."""

_LYFT = 1

_MANHATTAN = 0.4
"""The share of pickups in Manhattan."""


def synthetic_for_hire_months(default_rows: int) -> SyntheticMonths:
    """The synthetic months of high-volume for-hire vehicles.

    Args:
        default_rows: default number of rows per month.
    """
    return SyntheticMonths(default_rows, lambda _: ".parquet", _rows)


def _rows(chunk: Chunk) -> pa.Table:
    random, size = chunk.random, chunk.size
    new = chunk.first_day >= _NEW_TYPES
    text, zone = (pa.large_string(), pa.int32()) if new else (pa.string(), pa.int64())
    company = _companies(chunk)
    lyft = company == _LYFT
    seconds = np.clip(random.lognormal(6.75, 0.62, size), 30, 5 * 3600).astype(np.int64)
    pickups = pickups_in_order(chunk)
    mph = 1.2 * typical_mph(pickups) * random.normal(1, 0.28, size).clip(0.2)
    miles = np.round(seconds / 3600 * mph, 3)
    miles = np.where(random.random(size) < 0.0005, 0.0, miles)
    zones = zones_of_trips(chunk, _MANHATTAN)
    bases = [base for _, base, _, _ in _COMPANIES]
    return pa.table(
        {
            "hvfhs_license_num": words([c[0] for c in _COMPANIES], company, text),
            "dispatching_base_num": words(bases, company, text),
            "originating_base_num": words(
                [None if n == _LYFT else base for n, base in enumerate(bases)], company, text
            ),
            **_times(chunk, pickups, seconds, lyft),
            "PULocationID": pa.array(zones[0].astype(zone.to_pandas_dtype())),
            "DOLocationID": pa.array(zones[1].astype(zone.to_pandas_dtype())),
            "trip_miles": pa.array(miles),
            "trip_time": pa.array(seconds),
            **_amounts(chunk, miles, seconds, zones),
            **_flags(chunk, lyft, text),
            **_cbd_fee(chunk, zones),
        }
    )


def _companies(chunk: Chunk) -> Any:
    there = [end is None or chunk.first_day < end for *_, end in _COMPANIES]
    shares = np.array([share for _, _, share, _ in _COMPANIES]) * there
    drawn = np.searchsorted(np.cumsum(shares / shares.sum()), chunk.random.random(chunk.size))
    # Because of rounding, the last cumulative share is slightly below 1.
    return np.minimum(drawn, max(np.flatnonzero(there)))


def _times(chunk: Chunk, pickups: Any, seconds: Any, lyft: Mask) -> dict[str, pa.Array]:
    random, size = chunk.random, chunk.size
    pickups = pickups.astype("datetime64[us]")
    strays = random.random(size)
    first = np.datetime64(chunk.first_day, "us")
    pickups = np.where(strays < 0.00005, first - np.timedelta64(30, "D"), pickups)
    # If clocks are set back during a trip, its dropoff is before its pickup; its duration is right.
    ridden = np.where(strays > 0.9998, seconds - 3600, seconds)
    wait, boarding = random.integers(60, 900, size), random.integers(0, 180, size)

    def shifted(by: Any, missing: Mask | None = None) -> pa.Array:
        return pa.array(pickups + by.astype("timedelta64[s]"), mask=missing)

    return {
        "request_datetime": shifted(-(wait + boarding)),
        "on_scene_datetime": shifted(-boarding, lyft),
        "pickup_datetime": pa.array(pickups),
        "dropoff_datetime": shifted(ridden),
    }


def _amounts(chunk: Chunk, miles: Any, seconds: Any, zones: Any) -> dict[str, pa.Array]:
    random, size = chunk.random, chunk.size
    fare = np.round(4 + 1.6 * miles + 0.45 * seconds / 60 * random.normal(1, 0.2, size), 2)
    reversed_ = random.random(size) < 0.0005
    fare = np.where(reversed_, -np.round(fare / 4, 2), fare)
    tolls = np.where(random.random(size) < 0.08, 6.94, 0.0)
    paid = np.maximum(fare + tolls, 0)
    tips = np.where(random.random(size) < 0.18, np.round(paid * random.random(size) * 0.3, 2), 0.0)
    pay = np.where(reversed_, 0.0, np.round(1.1 * miles + 0.55 * seconds / 60, 2))
    airport = np.isin(zones, (1, 132, 138)).any(axis=0)
    charged = chunk.first_day >= _AIRPORT_FEE
    return {
        "base_passenger_fare": pa.array(fare),
        "tolls": pa.array(tolls),
        "bcf": pa.array(np.round(paid * (0.0275 if charged else 0.03), 2)),
        "sales_tax": pa.array(np.round(paid * 0.08875, 2)),
        "congestion_surcharge": pa.array(np.where(random.random(size) < 0.35, 2.75, 0.0)),
        "airport_fee": pa.array(
            np.where(airport, 2.5, 0.0), mask=None if charged else np.ones(size, np.bool_)
        ),
        "tips": pa.array(tips),
        "driver_pay": pa.array(pay),
    }


def _flags(chunk: Chunk, lyft: Mask, text: pa.DataType) -> dict[str, pa.Array]:
    random, size = chunk.random, chunk.size

    def flag(hit: Mask) -> Any:
        return hit.astype(np.int8)

    shared = random.random(size) < 0.04
    wheelchair = random.random(size) < 0.003
    access = flag(random.random(size) < 0.0005)
    if chunk.first_day < _NEW_TYPES:
        access = np.where(lyft, access, 2)
    flags = {
        "shared_request_flag": flag(shared),
        "shared_match_flag": flag(shared & (random.random(size) < 0.3)),
        "access_a_ride_flag": access,
        "wav_request_flag": flag(wheelchair),
        "wav_match_flag": flag(wheelchair | (random.random(size) < 0.06)),
    }
    return {name: words(["N", "Y", " "], index, text) for name, index in flags.items()}


def _cbd_fee(chunk: Chunk, zones: Any) -> dict[str, pa.Array]:
    """The fee column, published since the fee exists; set for trips that touch the zone."""
    if chunk.first_day < _CBD_FEE:
        return {}
    touched = np.isin(zones, (4, 13, 48, 68, 79, 90, 107, 161, 162, 163, 170, 186, 230, 234, 249))
    return {"cbd_congestion_fee": pa.array(np.where(touched.any(axis=0), 1.5, 0.0))}
