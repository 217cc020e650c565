"""Expectations that a cleaned file must meet before it is loaded, evaluated on its footer.

They are derived from the trip type, so they cover new columns and rules without a change here. The
asset checks report the results and block downstream assets.
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
"""Minimum share of a month's days that must have trips. Real months never lack a whole day."""

MIN_ROWS_FOR_DAYS = 1_000
"""In smaller months a day may have no trips by chance. Real months have more rows."""


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation holds, and the figures that show it."""

    holds: bool
    facts: dict[str, Any]


class Severity(StrEnum):
    """What happens to a month that does not meet an expectation."""

    BLOCKING = "blocking"
    """It is not loaded into the stores."""
    WARNING = "warning"
    """It is loaded, with a warning."""


@dataclass(frozen=True)
class Expectation:
    """A condition that a cleaned month must meet.

    Attributes:
        name: the check's name.
        description: what is true if the check passes.
        judge: evaluates the condition; raises PermanentStoreError if the file of rejected rows
            cannot be read.
        severity: what happens if the condition is not met.
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
    if trips.rows < MIN_ROWS_FOR_DAYS:
        return Verdict(True, facts | {"too_few_rows_to_evaluate": trips.rows})
    return Verdict(share >= DAYS_SHARE, facts)


def _required_not_null(trips: TripParquet) -> Verdict:
    counted = trips.statistics["nulls"]
    nulls = {name: counted.get(name, 0) for name in trip_type(trips.month.color).never_null}
    return Verdict(not any(nulls.values()), {"nulls": nulls})


def _no_duplicate_rows(trips: TripParquet) -> Verdict:
    if trips.duplicate_rows is None:
        # What was not counted is not known to hold.
        return Verdict(False, {"not_counted": True})
    facts = {
        "duplicate_rows": trips.duplicate_rows,
        "share": trips.duplicate_rows / max(trips.rows, 1),
    }
    return Verdict(trips.duplicate_rows == 0, facts)


def _columns_named(trips: TripParquet) -> Verdict:
    nameless = trips.nameless_fields
    facts: dict[str, Any] = {"nameless_fields": list(nameless)}
    if nameless:
        facts["to_accept_it"] = (
            "If the names at the end of the header are missing, set missing_columns to their "
            "columns. Otherwise correct the header: values are in the wrong columns"
        )
    return Verdict(not nameless, facts)


EXPECTATIONS: tuple[Expectation, ...] = (
    Expectation(
        "rows_conserved",
        "Rows read = rows kept + rows rejected, counted in the files themselves.",
        _rows_conserved,
    ),
    Expectation(
        "rejected_share_under_limit",
        "The share of rejected rows does not exceed the limit.",
        _rejected_share,
    ),
    Expectation(
        "days_present",
        f"At least {DAYS_SHARE:.0%} of the month's days have trips.",
        _days_present,
    ),
    Expectation(
        "required_columns_not_null",
        "Columns in which every trip has a value (see docs/data.md) have no nulls.",
        _required_not_null,
    ),
    Expectation(
        "columns_named",
        "The header of a CSV lacks no name while a column of the month is missing. If it does, "
        "values may be in the wrong columns.",
        _columns_named,
    ),
    Expectation(
        "no_duplicate_rows",
        "No row duplicates another in every column. A file that was joined to itself does.",
        _no_duplicate_rows,
        Severity.WARNING,
    ),
)
"""Every expectation. If a blocking one fails, the month is not loaded into the stores."""
