"""The building blocks of synthetic months: chunks of rows, times, zones.

``synthetic`` writes them to a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from taxi_platform.trips.zones import BOROUGHS

DAY_SECONDS = 86_400

_WEEKDAY_HOURS = np.array(
    [22, 13, 8, 6, 7, 12, 26, 45, 54, 48, 43, 44, 47, 48, 50, 52, 49, 57, 66, 61, 53, 49, 44, 33],
    dtype=np.float64,
)
_WEEKEND_HOURS = np.array(
    [52, 44, 35, 26, 15, 9, 11, 16, 25, 35, 43, 48, 51, 51, 51, 51, 51, 53, 58, 56, 50, 49, 51, 52],
    dtype=np.float64,
)
"""Pickups by hour of the day: rush hours from Monday to Friday, late nights on weekends."""

_DAYS = np.array([0.90, 0.97, 1.01, 1.06, 1.10, 1.08, 0.88])
"""Pickups by day of the week, from Monday."""

_MPH = np.array(
    [
        *(15, 16, 17, 18, 19, 18, 14, 11, 9.5, 9.5, 9.8, 9.7),
        *(9.5, 9.4, 9.2, 9, 9, 8.8, 9.2, 10, 11, 12, 13, 14),
    ],
    dtype=np.float64,
)
"""Typical speed by hour, of Monday to Friday; on weekends, traffic is lighter by day."""

_AIRPORT_WEIGHTS = {1: 0.001, 132: 0.04, 138: 0.03}
_BOROUGH_SHARES = {"Queens": 0.45, "Brooklyn": 0.40, "Bronx": 0.14, "Staten Island": 0.01}
"""Of the trips outside Manhattan and the airports."""

_STAYING = 0.6
"""The share of trips that end in the borough where they began."""

Mask = NDArray[np.bool_]

Values = tuple[Any, Mask | None]
"""A column's values as a NumPy array, and a mask of missing ones."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a month that are to be generated.

    Attributes:
        first_day: first day of the month.
        following: first day after the month.
        random: random generator of this chunk, seeded.
        start: number of rows of the month before this chunk.
        size: number of rows in this chunk.
        total: number of rows in the month.
    """

    first_day: date
    following: date
    random: np.random.Generator
    start: int
    size: int
    total: int


@dataclass(frozen=True)
class SyntheticMonths:
    """How to generate synthetic months of a trip type.

    Attributes:
        default_rows: default number of rows per month.
        ending: returns the extension with which a month is published, ``.parquet`` or
            ``.csv.gz``, for its first day.
        rows: generates the rows of a chunk, with the names and types of the published file. It
            must return the same schema for every chunk of a month, including an empty one.
    """

    default_rows: int
    ending: Callable[[date], str]
    rows: Callable[[Chunk], pa.Table]


def pickups_in_order(chunk: Chunk) -> Any:
    """Generates pickup times, ordered by day as in published files, with a city's days and hours.

    Returns:
        datetime64[s], New York local time.
    """
    first = np.datetime64(chunk.first_day, "s")
    days = (chunk.following - chunk.first_day).days
    random, size = chunk.random, chunk.size
    weekdays = (chunk.first_day.weekday() + np.arange(days)) % 7
    until = np.cumsum(_DAYS[weekdays])
    place = (chunk.start + np.arange(size) + 0.5) / max(chunk.total, 1)
    day = np.minimum(np.searchsorted(until / until[-1], place), days - 1).astype(np.int64)
    hour = np.where(
        weekdays[day] < 5,
        random.choice(24, size, p=_WEEKDAY_HOURS / _WEEKDAY_HOURS.sum()),
        random.choice(24, size, p=_WEEKEND_HOURS / _WEEKEND_HOURS.sum()),
    )
    offset = day * DAY_SECONDS + hour * 3600 + random.integers(0, 3600, size)
    order = np.argsort(offset, kind="stable")
    return first + offset[order].astype("timedelta64[s]")


def typical_mph(pickups: Any) -> Any:
    """The typical speed at these times, in miles an hour: slow by day, and slower in rush hours."""
    seconds = pickups.astype("datetime64[s]").astype(np.int64)
    hour = seconds % DAY_SECONDS // 3600
    weekday = (seconds // DAY_SECONDS + 3) % 7  # 1970 began on a Thursday
    return _MPH[hour] * np.where((weekday >= 5) & (hour >= 7), 1.25, 1.0)


def zones_of_trips(chunk: Chunk, manhattan: float) -> Any:
    """Generates pickup and dropoff zones as two rows; some are unknown (264 and 265).

    Args:
        chunk: the rows to generate.
        manhattan: the share of pickups in Manhattan.
    """
    random, size = chunk.random, chunk.size
    weights, boroughs = _zone_weights(manhattan)
    pickups = random.choice(len(weights), size, p=weights)
    dropoffs = random.choice(len(weights), size, p=weights)
    stays = random.random(size) < _STAYING
    for borough in np.unique(boroughs):
        own = np.where(boroughs == borough, weights, 0)
        at = np.flatnonzero(stays & (boroughs[pickups] == borough))
        dropoffs[at] = random.choice(len(weights), len(at), p=own / own.sum())
    zones = np.stack([pickups, dropoffs]) + 1
    shape = zones.shape
    return np.where(random.random(shape) < 0.012, random.integers(264, 266, shape), zones)


@cache
def _zone_weights(manhattan: float) -> tuple[Any, Any]:
    """The share of each zone, from 1, and its borough as a number."""
    names = [BOROUGHS[number] for number in range(1, 264)]
    # Some zones of a borough are busier than others, always the same.
    weights = np.array([1 / (5 + number * 37 % 97) for number in range(1, 264)])
    airports = sum(_AIRPORT_WEIGHTS.values())
    for borough in set(names):
        mine = np.array([name == borough for name in names])
        for airport in _AIRPORT_WEIGHTS:
            mine[airport - 1] = False
        share = _BOROUGH_SHARES.get(borough, 0.0) * (1 - manhattan - airports)
        share = manhattan if borough == "Manhattan" else share
        if mine.any():
            weights[mine] *= share / weights[mine].sum()
    for airport, share in _AIRPORT_WEIGHTS.items():
        weights[airport - 1] = share
    known = sorted(set(names))
    return weights / weights.sum(), np.array([known.index(name) for name in names])


def words(choices: Sequence[str | None], index: Any, type_: pa.DataType) -> pa.Array:
    """Builds texts from indices into a few choices."""
    return pa.array(choices, type_).take(pa.array(index))
