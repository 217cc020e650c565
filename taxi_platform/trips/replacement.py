"""Compares a month's new version with the loaded one, to decide whether it may replace it.

The TLC republishes months with a few rows more or less. A version that lost a tenth of its rows, or
a day, or half of an amount, is more likely a mistake. It replaces the loaded version only if
somebody accepts it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from taxi_platform.trips.totals import in_dollars

MIN_ROW_DIFFERENCE = 20
"""A smaller difference in rows is always allowed: a share of a few rows means little."""

MIN_ROWS_FOR_SHARES = 1_000
"""In smaller months, means and shares differ by chance. Real months have more rows."""

MIN_SHARE_OF_SUM = 0.01
"""Amounts whose sum is a smaller share of the largest sum are not compared: rare fees vary."""

MAX_DAYS_SHOWN = 5

NEIGHBOR_FACTOR = 4
"""A month with this many times more or fewer rows than its neighbors gets a warning."""


@dataclass(frozen=True)
class ReplacementLimits:
    """How much a month's new version may differ from the loaded one.

    Attributes:
        rows: share of rows that may be gained or lost.
        day: share of a day's rows that may be lost.
        amount: share by which the mean of an amount per trip may change.
        nulls: how much the share of missing values of a column may change.

    Raises:
        ValueError: a value is negative.
    """

    rows: float = 0.1
    day: float = 0.5
    amount: float = 0.25
    nulls: float = 0.1

    def __post_init__(self) -> None:
        if negative := [name for name, value in asdict(self).items() if value < 0]:
            raise ValueError(f"replacement limits must not be negative: {', '.join(negative)}")

    @classmethod
    def from_json(cls, limits: Mapping[str, float] | None) -> Self:
        """Creates limits from the result of ``to_json``; None, from old files, gives defaults."""
        return cls(**(limits or {}))

    def to_json(self) -> dict[str, float]:
        """The limits by name."""
        return asdict(self)


def differences(
    loaded: Mapping[str, Any], new: Mapping[str, Any], limits: ReplacementLimits
) -> list[str]:
    """Lists how a new version differs from the loaded one beyond the limits, with both figures.

    Args:
        loaded: ``TripStatistics.to_json`` of the loaded version.
        new: the same of the new version.
        limits: how much they may differ.

    Returns:
        A sentence for each difference; empty if the new version may replace the loaded one.
    """
    return [
        *_rows(loaded["rows"], new["rows"], limits.rows),
        *_days(loaded["rows_by_day"], new["rows_by_day"], limits.day),
        *_amounts(loaded, new, limits.amount),
        *_nulls(loaded, new, limits.nulls),
    ]


def _rows(loaded: int, new: int, limit: float) -> Iterator[str]:
    if abs(new - loaded) > max(limit * loaded, MIN_ROW_DIFFERENCE):
        change = (new - loaded) / loaded if loaded else float("inf")
        yield f"{new:,} rows instead of {loaded:,} ({change:+.1%}, limit {limit:.0%})"


def _days(loaded: Mapping[str, int], new: Mapping[str, int], limit: float) -> Iterator[str]:
    lost = [
        f"{day}: {new.get(day, 0):,} instead of {rows:,}"
        for day, rows in sorted(loaded.items())
        if rows - new.get(day, 0) > max(limit * rows, MIN_ROW_DIFFERENCE)
    ]
    if lost:
        more = f" and {len(lost) - MAX_DAYS_SHOWN} more" if len(lost) > MAX_DAYS_SHOWN else ""
        yield (
            f"{len(lost)} days lost more than {limit:.0%} of their rows: "
            f"{', '.join(lost[:MAX_DAYS_SHOWN])}{more}"
        )


def _amounts(loaded: Mapping[str, Any], new: Mapping[str, Any], limit: float) -> Iterator[str]:
    if min(loaded["rows"], new["rows"]) < MIN_ROWS_FOR_SHARES:
        return
    greatest = max((abs(cents) for cents in loaded["cents"].values()), default=0)
    for name, before in loaded["cents"].items():
        after = new["cents"].get(name, 0)
        if abs(before) < MIN_SHARE_OF_SUM * greatest or not before:
            continue
        change = (after / new["rows"]) / (before / loaded["rows"]) - 1
        if abs(change) > limit:
            yield (
                f"{name} adds up to {in_dollars(after)} dollars instead of {in_dollars(before)} "
                f"({change:+.1%} a trip, limit {limit:.0%})"
            )


def _nulls(loaded: Mapping[str, Any], new: Mapping[str, Any], limit: float) -> Iterator[str]:
    if min(loaded["rows"], new["rows"]) < MIN_ROWS_FOR_SHARES:
        return
    for name in sorted({*loaded["nulls"], *new["nulls"]}):
        before = loaded["nulls"].get(name, 0) / loaded["rows"]
        after = new["nulls"].get(name, 0) / new["rows"]
        if abs(after - before) > limit:
            yield f"{name} is missing in {after:.1%} of the rows instead of {before:.1%}"


def unlike_neighbors(rows: int, neighbors: Mapping[str, int]) -> str | None:
    """Describes a month whose number of rows is unlike that of other months; None if it is not.

    Args:
        rows: number of rows of the month.
        neighbors: rows of other months, by partition key.
    """
    if not neighbors:
        return None
    usual = median(neighbors.values())
    if usual / NEIGHBOR_FACTOR <= rows <= usual * NEIGHBOR_FACTOR:
        return None
    beside = ", ".join(f"{key} {count:,}" for key, count in sorted(neighbors.items()))
    return f"{rows:,} rows, but its neighbors have {beside}"
