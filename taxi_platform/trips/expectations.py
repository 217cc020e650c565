"""What must be true of a cleaned month before it may reach the stores, judged by its statistics.

Generated from the schema and the rules, so that a new column or rule is judged without a change
here. How a verdict is shown, and what it holds back, is the asset checks' business.
"""

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_platform.trips.blocks import UNPARSEABLE
from taxi_platform.trips.month import COLORS, TripMonth
from taxi_platform.trips.rules import RULES
from taxi_platform.trips.schema import columns

DAYS_SHARE = 0.9
"""Share of a month's days that must have trips; whole days are never missing in real months."""

FEWEST_ROWS_FOR_DAYS = 1_000
"""Below it a month is too small to tell a missing day from a quiet one. Real months have more."""


@dataclass(frozen=True)
class CleanedMonth:
    """What is known of a cleaned month.

    Attributes:
        month: color and month.
        rows_read: rows in the published file.
        rows_in_file: rows in the cleaned Parquet, counted there.
        rows_in_rejects: rows in the reject Parquet, counted there.
        rejected_by_reason: as the cleaning counted them.
        max_rejected_share: the limit that the cleaning held to, 0 to 1.
        statistics: ``TripStatistics.to_json`` of the kept rows.
    """

    month: TripMonth
    rows_read: int
    rows_in_file: int
    rows_in_rejects: int
    rejected_by_reason: Mapping[str, int]
    max_rejected_share: float
    statistics: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation holds, and the facts that say so."""

    holds: bool
    facts: dict[str, Any]


@dataclass(frozen=True)
class Expectation:
    """One thing that must be true of a cleaned month."""

    name: str
    description: str
    judge: Callable[[CleanedMonth], Verdict]


def _rows_conserved(month: CleanedMonth) -> Verdict:
    rejected = sum(month.rejected_by_reason.values())
    facts = {
        "rows_read": month.rows_read,
        "rows_kept": month.rows_in_file,
        "rows_rejected": month.rows_in_rejects,
        "rows_rejected_as_counted": rejected,
    }
    holds = (
        month.rows_read == month.rows_in_file + month.rows_in_rejects
        and month.rows_in_rejects == rejected
        and month.rows_in_file == month.statistics["rows"]
    )
    return Verdict(holds, facts)


def _rejected_share(month: CleanedMonth) -> Verdict:
    shares = {
        reason: month.rejected_by_reason.get(reason, 0) / max(month.rows_read, 1)
        for reason in (UNPARSEABLE, *(rule.reason for rule in RULES))
    }
    total = month.rows_in_rejects / max(month.rows_read, 1)
    facts = {"share": total, "limit": month.max_rejected_share, "share_by_reason": shares}
    return Verdict(total <= month.max_rejected_share, facts)


def _days_present(month: CleanedMonth) -> Verdict:
    first = month.month.month
    days = calendar.monthrange(first.year, first.month)[1]
    counted = month.statistics["rows_by_day"]
    missing = [
        day
        for day in (date(first.year, first.month, n).isoformat() for n in range(1, days + 1))
        if not counted.get(day)
    ]
    share = 1 - len(missing) / days
    facts = {"share": share, "limit": DAYS_SHARE, "missing_days": missing}
    if month.rows_in_file < FEWEST_ROWS_FOR_DAYS:
        return Verdict(True, facts | {"too_few_rows_to_tell": month.rows_in_file})
    return Verdict(share >= DAYS_SHARE, facts)


def _required_not_null(month: CleanedMonth) -> Verdict:
    nulls = {
        c.name: month.statistics["nulls"].get(c.name, 0)
        for c in columns(month.month.color)
        if c.never_null
    }
    return Verdict(not any(nulls.values()), {"nulls": nulls})


EXPECTATIONS: tuple[Expectation, ...] = (
    Expectation(
        "rows_conserved",
        "Rows read = rows kept + rows rejected, counted in the files themselves.",
        _rows_conserved,
    ),
    Expectation(
        "rejected_share_under_limit",
        "No more than the allowed share of the rows was rejected.",
        _rejected_share,
    ),
    Expectation(
        "days_present",
        f"At least {DAYS_SHARE:.0%} of the month's days have trips.",
        _days_present,
    ),
    Expectation(
        "required_columns_not_null",
        "Columns that every trip has are never missing: "
        + ", ".join(sorted({c.name for color in COLORS for c in columns(color) if c.never_null}))
        + ".",
        _required_not_null,
    ),
)
"""Every expectation; all of them hold a bad month back from the stores."""
