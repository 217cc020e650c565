"""What must be true of a cleaned file before it may reach the stores, judged by its footer.

Derived from the kind of trip, so that a new column or rule is judged without a change here. How a
verdict is shown, and what it holds back, is the asset checks' business.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from taxi_platform.landing.files import TripParquet
from taxi_platform.trips.blocks import UNPARSEABLE
from taxi_platform.trips.types import trip_type

DAYS_SHARE = 0.9
"""Share of a month's days that must have trips; whole days are never missing in real months."""

FEWEST_ROWS_FOR_DAYS = 1_000
"""Below it a month is too small to tell a missing day from a quiet one. Real months have more."""


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation holds, and the facts that say so."""

    holds: bool
    facts: dict[str, Any]


class Severity(StrEnum):
    """What a month that does not meet an expectation is worth."""

    BLOCKING = "blocking"
    """It is held back from the stores."""
    WARNING = "warning"
    """It is loaded, and told."""


@dataclass(frozen=True)
class Expectation:
    """One thing that must be true of a cleaned month.

    Attributes:
        name: the check's name.
        description: what holds if it passes.
        judge: says whether it holds; raises PermanentStoreError if the rejected rows, which
            belong to the month, cannot be read.
        severity: what follows if it does not hold.
    """

    name: str
    description: str
    judge: Callable[[TripParquet], Verdict]
    severity: Severity = Severity.BLOCKING


def _rows_conserved(trips: TripParquet) -> Verdict:
    in_rejects = trips.rows_in_rejects
    facts = {
        "rows_read": trips.rows_read,
        "rows_kept": trips.rows,
        "rows_rejected": in_rejects,
        "rows_rejected_as_counted": trips.rows_rejected,
    }
    holds = (
        trips.rows_read == trips.rows + in_rejects
        and in_rejects == trips.rows_rejected
        and trips.rows == trips.statistics["rows"]
    )
    return Verdict(holds, facts)


def _rejected_share(trips: TripParquet) -> Verdict:
    read = max(trips.rows_read, 1)
    reasons = (UNPARSEABLE, *(rule.reason for rule in trip_type(trips.month.color).rules))
    shares = {reason: trips.rejected_by_reason.get(reason, 0) / read for reason in reasons}
    total = trips.rows_in_rejects / read
    facts = {"share": total, "limit": trips.max_rejected_share, "share_by_reason": shares}
    return Verdict(total <= trips.max_rejected_share, facts)


def _days_present(trips: TripParquet) -> Verdict:
    first = trips.month.month
    days = calendar.monthrange(first.year, first.month)[1]
    counted = trips.statistics["rows_by_day"]
    missing = [
        day
        for day in (date(first.year, first.month, n).isoformat() for n in range(1, days + 1))
        if not counted.get(day)
    ]
    share = 1 - len(missing) / days
    facts = {"share": share, "limit": DAYS_SHARE, "missing_days": missing}
    if trips.rows < FEWEST_ROWS_FOR_DAYS:
        return Verdict(True, facts | {"too_few_rows_to_tell": trips.rows})
    return Verdict(share >= DAYS_SHARE, facts)


def _required_not_null(trips: TripParquet) -> Verdict:
    counted = trips.statistics["nulls"]
    nulls = {name: counted.get(name, 0) for name in trip_type(trips.month.color).never_null}
    return Verdict(not any(nulls.values()), {"nulls": nulls})


def _no_duplicate_rows(trips: TripParquet) -> Verdict:
    if trips.duplicate_rows is None:
        return Verdict(True, {"not_counted": True})
    facts = {
        "duplicate_rows": trips.duplicate_rows,
        "share": trips.duplicate_rows / max(trips.rows, 1),
    }
    return Verdict(trips.duplicate_rows == 0, facts)


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
        "The columns that every trip has a value in, by docs/data.md, have no nulls.",
        _required_not_null,
    ),
    Expectation(
        "no_duplicate_rows",
        "No row is equal to another in every column, as in a file that was joined to itself.",
        _no_duplicate_rows,
        Severity.WARNING,
    ),
)
"""Every expectation; those that block hold a bad month back from the stores."""
