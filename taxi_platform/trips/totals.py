"""What a month adds up to, by which its copies in different stores are compared.

Exact in every store: amounts are rounded to cents by arithmetic that all of them do alike, and
summed as integers. How a store is asked is the store's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from taxi_platform.trips.types import trip_type


def dollar_columns(color: str) -> list[str]:
    """The canonical columns of a color that are amounts in US dollars."""
    return list(trip_type(color).amounts)


def cents_expression(column: str, integer_type: str) -> str:
    """SQL for an amount in whole cents, which rounds as ``statistics.cents_of`` does.

    Args:
        column: the quoted name of a float column in US dollars.
        integer_type: the store's name of a 64-bit integer.
    """
    return f"CAST(FLOOR({column} * 100 + 0.5) AS {integer_type})"


def in_dollars(cents: int) -> str:
    """An amount for people: ``-1,234.50``."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}.{rest:02}"


@dataclass(frozen=True)
class MonthTotals:
    """Rows of a month, and the sum of each amount.

    Attributes:
        rows: how many.
        cents: sum by column, in US cents; columns whose sum is not known are left out.
    """

    rows: int
    cents: Mapping[str, int]

    @classmethod
    def of_statistics(cls, color: str, statistics: Mapping[str, Any]) -> Self:
        """From the statistics of a cleaned file, as ``TripStatistics.to_json`` gives them."""
        cents = statistics["cents"]
        return cls(statistics["rows"], {name: cents.get(name, 0) for name in dollar_columns(color)})

    def differences(self, expected: "MonthTotals") -> list[str]:
        """What differs from another's totals, over what both know; empty if nothing does."""
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
