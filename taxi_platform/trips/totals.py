"""The totals of a month, to compare its copies in different stores.

They are exact in every store: each amount is rounded to cents with arithmetic that is the same in
all stores, and cents are summed as integers. Each store queries its own totals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from taxi_platform.trips.types import trip_type


def dollar_columns(color: str) -> list[str]:
    """The names of a color's columns that are amounts in US dollars."""
    return list(trip_type(color).amounts)


def cents_expression(column: str, integer_type: str) -> str:
    """SQL that converts an amount to whole cents, rounded as in ``statistics.cents_of``.

    Args:
        column: the quoted name of a float column in US dollars.
        integer_type: the store's name for a 64-bit integer type.
    """
    return f"CAST(FLOOR({column} * 100 + 0.5) AS {integer_type})"


def in_dollars(cents: int) -> str:
    """Formats an amount: ``-1,234.50``."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}.{rest:02}"


@dataclass(frozen=True)
class MonthTotals:
    """The number of rows of a month, and the sum of each amount.

    Attributes:
        rows: number of rows.
        cents: sum by column, in US cents; unknown sums are left out.
    """

    rows: int
    cents: Mapping[str, int]

    @classmethod
    def of_statistics(cls, color: str, statistics: Mapping[str, Any]) -> Self:
        """Totals from a cleaned file's statistics, in the form of ``TripStatistics.to_json``."""
        cents = statistics["cents"]
        return cls(statistics["rows"], {name: cents.get(name, 0) for name in dollar_columns(color)})

    def differences(self, expected: "MonthTotals") -> list[str]:
        """Differences from the expected totals, in the columns that both have; empty if equal."""
        found = []
        if self.rows != expected.rows:
            found.append(f"{self.rows:,} rows instead of {expected.rows:,}")
        found += [
            f"{name} adds up to {in_dollars(self.cents[name])} dollars instead of "
            f"{in_dollars(cents)}"
            for name, cents in expected.cents.items()
            if name in self.cents and self.cents[name] != cents
        ]
        return found
