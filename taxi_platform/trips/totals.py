"""What a month adds up to, by which its copies in different stores are compared.

Exact in every store: amounts are rounded to cents by arithmetic that all of them do alike, and
summed as integers. How a store is asked is the store's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from taxi_platform.trips.schema import columns


def dollar_columns(color: str) -> list[str]:
    """The canonical columns of a color that are amounts in US dollars."""
    return [column.name for column in columns(color) if column.unit == "US dollars"]


def cents_expression(column: str, integer_type: str) -> str:
    """SQL for an amount in whole cents, which rounds as ``statistics.cents_of`` does.

    Args:
        column: the quoted name of a float column in US dollars.
        integer_type: the store's name of a 64-bit integer.
    """
    return f"CAST(FLOOR({column} * 100 + 0.5) AS {integer_type})"


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
    def of_statistics(cls, color: str, statistics: Mapping[str, object]) -> Self:
        """From the statistics of a cleaned file, as ``TripStatistics.to_json`` gives them."""
        dollars = statistics["dollars"]
        assert isinstance(dollars, Mapping)  # noqa: S101
        return cls(
            rows=int(str(statistics["rows"])),
            cents={
                name: int(Decimal(dollars.get(name, 0)) * 100) for name in dollar_columns(color)
            },
        )

    def differences(self, expected: "MonthTotals") -> list[str]:
        """What differs from another's totals, over what both know; empty if nothing does."""
        found = []
        if self.rows != expected.rows:
            found.append(f"{self.rows:,} rows instead of {expected.rows:,}")
        found += [
            f"{name} adds up to {Decimal(self.cents[name]) / 100:,} dollars instead of "
            f"{Decimal(cents) / 100:,}"
            for name, cents in expected.cents.items()
            if name in self.cents and self.cents[name] != cents
        ]
        return found
