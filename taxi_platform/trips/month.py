"""One month of one color: the unit that the TLC publishes and the platform replaces.

``partitions`` defines which months exist.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Self

from taxi_platform.trips.types import TRIP_TYPES, trip_type

_MONTH_IN_NAME = re.compile(r"(?<!\d)([12][0-9]{3})-(0[1-9]|1[0-2])(?!\d)")
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_KEY = re.compile(r"([a-z0-9]+)\|([12][0-9]{3})-(0[1-9]|1[0-2])")

FIRST_YEAR = 2009
"""The first year of which there are trip files."""


@dataclass(frozen=True, order=True)
class TripMonth:
    """A color and a month, such as green, January 2024.

    Attributes:
        color: the name of a trip type, such as ``green``.
        month: the first day of the month.
    """

    color: str
    month: date

    def __post_init__(self) -> None:
        trip_type(self.color)
        if self.month.day != 1:
            raise ValueError(f"{self.month} is not the first day of a month")

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Parses a partition key such as ``green|2024-01``.

        Raises:
            ValueError: the key has another form.
        """
        match = _KEY.fullmatch(key)
        if match is None or match[1] not in TRIP_TYPES:
            raise ValueError(f"{key!r} is not a partition key such as 'green|2024-01'")
        return cls(match[1], date(int(match[2]), int(match[3]), 1))

    @property
    def key(self) -> str:
        """The partition key: ``green|2024-01``."""
        return f"{self.color}|{self.year_month}"

    @property
    def year_month(self) -> str:
        """The month as in published file names: ``2024-01``."""
        return f"{self.month:%Y-%m}"

    @property
    def following(self) -> date:
        """The first day after the month."""
        return date(self.month.year + self.month.month // 12, self.month.month % 12 + 1, 1)

    @property
    def neighbors(self) -> tuple[Self, ...]:
        """The previous and next months, and the same month of the previous and next years."""
        months = self.month.year * 12 + self.month.month - 1
        return tuple(
            type(self)(self.color, date((months + step) // 12, (months + step) % 12 + 1, 1))
            for step in (-12, -1, 1, 12)
        )

    @property
    def stem(self) -> str:
        """The published file's name without its extension: ``green_tripdata_2024-01``."""
        return f"{self.color}_tripdata_{self.year_month}"

    def __str__(self) -> str:
        return self.key


def parse_month(text: str) -> date:
    """The first day of a month such as ``2024-01``.

    Raises:
        ValueError: it is none of a month that may have trip files.
    """
    match = _MONTH.fullmatch(text)
    if match is None or int(match[1]) < FIRST_YEAR:
        raise ValueError(f"give a month from {FIRST_YEAR}-01, such as 2024-01")
    return date(int(match[1]), int(match[2]), 1)


def parse_file_name(name: str) -> tuple[str | None, date | None]:
    """Finds the color and the month in a file's name. Each is None if it is not found.

    >>> parse_file_name("yellow_tripdata_sample_2019-06.csv")
    ('yellow', datetime.date(2019, 6, 1))
    """
    named = [color for color in TRIP_TYPES if color in name.lower()]
    # Take the longest match: fhvhv_tripdata contains both fhv and fhvhv.
    color = next((c for c in named if not any(c != other and c in other for other in named)), None)
    match = _MONTH_IN_NAME.search(name)
    return color, date(int(match[1]), int(match[2]), 1) if match else None
