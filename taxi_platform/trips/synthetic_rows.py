"""What the synthetic months of every kind of trip are made of: chunks of rows, times, zones.

How a month is written to a file is the business of ``synthetic``.
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
"""Pickups by hour of the day: a trough before dawn, a peak in the early evening."""

Mask = NDArray[np.bool_]

Values = tuple[Any, Mask | None]
"""A column's values as a NumPy array, and where they are missing."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a month that are to be made up.

    Attributes:
        first_day: of the month.
        following: the first day after it.
        random: where chance comes from; seeded, and of this chunk alone.
        start: rows of the month before these.
        size: how many rows.
        total: rows of the whole month.
    """

    first_day: date
    following: date
    random: np.random.Generator
    start: int
    size: int
    total: int


@dataclass(frozen=True)
class SyntheticMonths:
    """What the made-up months of a kind of trip look like.

    Attributes:
        default_rows: rows of a month, unless another number is asked for.
        ending: gives the ending under which a month is published, ``.parquet`` or ``.csv.gz``,
            by its first day.
        rows: makes the rows of a chunk, with the names and types of the published file. It must
            give the same schema for every chunk of a month, also for one without rows.
    """

    default_rows: int
    ending: Callable[[date], str]
    rows: Callable[[Chunk], pa.Table]


def pickups_in_order(chunk: Chunk) -> Any:
    """When trips begin: in the order of their days, as published; within a day by its hours.

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
    """Where trips begin and end: two rows of taxi zones, some of them unknown (264 and 265)."""
    random, shape = chunk.random, (2, chunk.size)
    zones = np.minimum(random.zipf(1.15, shape) * 37 % 263 + 1, 263)
    return np.where(random.random(shape) < 0.012, random.integers(264, 266, shape), zones)


def words(choices: Sequence[str | None], index: Any, type_: pa.DataType) -> pa.Array:
    """Texts, given by their places among a few choices."""
    return pa.array(choices, type_).take(pa.array(index))
