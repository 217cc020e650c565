"""The building blocks of synthetic months: chunks of rows, times, zones.

``synthetic`` writes them to a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DAY_SECONDS = 86_400

_HOURS = np.array(
    [36, 25, 18, 12, 9, 10, 22, 37, 47, 47, 46, 48, 51, 51, 53, 53, 49, 57, 65, 63, 57, 57, 54, 46],
    dtype=np.float64,
)
"""Pickups by hour of the day: fewest before dawn, most in the early evening."""

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
    """Generates pickup times, ordered by day as in published files, with a daily pattern of hours.

    Returns:
        datetime64[s], New York local time.
    """
    first = np.datetime64(chunk.first_day, "s")
    days = (chunk.following - chunk.first_day).days
    random, size = chunk.random, chunk.size
    day = ((chunk.start + np.arange(size)) * days // max(chunk.total, 1)).astype(np.int64)
    hour = random.choice(24, size, p=_HOURS / _HOURS.sum())
    offset = day * DAY_SECONDS + hour * 3600 + random.integers(0, 3600, size)
    order = np.argsort(offset, kind="stable")
    return first + offset[order].astype("timedelta64[s]")


def zones_of_trips(chunk: Chunk) -> Any:
    """Generates pickup and dropoff zones as two rows; some are unknown (264 and 265)."""
    random, shape = chunk.random, (2, chunk.size)
    zones = np.minimum(random.zipf(1.15, shape) * 37 % 263 + 1, 263)
    return np.where(random.random(shape) < 0.012, random.integers(264, 266, shape), zones)


def words(choices: Sequence[str | None], index: Any, type_: pa.DataType) -> pa.Array:
    """Builds texts from indices into a few choices."""
    return pa.array(choices, type_).take(pa.array(index))
