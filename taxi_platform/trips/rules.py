"""Cleaning rules: which rows are rejected, and why.

A rule sees one row at a time, so its result does not depend on the block size. Unparseable rows are
rejected before rules are applied. The following are real in the TLC's files and deliberately not
rejected: negative amounts (reversals), missing codes (the null block), totals that differ from the
sum of their parts, and trips that share times and zones.

This module defines the rules that several trip types use. ``types`` lists the rules of each type.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import FALSE, scalar
from taxi_platform.trips.columns import TIME
from taxi_platform.trips.texts import unknown_texts
from taxi_platform.trips.times import repeated_hours


@dataclass(frozen=True)
class RuleContext:
    """What a rule may use besides the row.

    Attributes:
        first_day: first day of the file's month.
        following: first day after the month.
        days_outside_month: maximum number of days between a pickup and the month.
        never_null: columns in which every trip has a value, except the pickup time, which has its
            own rule.
        domains: text columns that contain values outside their domain, with the domain.
    """

    first_day: date
    following: date
    days_outside_month: int
    never_null: tuple[str, ...] = ()
    domains: tuple[tuple[str, str], ...] = ()


Breaks = Callable[[pa.RecordBatch, RuleContext], pa.BooleanArray]
"""Returns True for each row of a batch that breaks a rule. Null means that the row is kept."""


@dataclass(frozen=True)
class Rule:
    """A reason to reject a row.

    Attributes:
        name: the rule's name in the options.
        reason: the code that rejected rows carry.
        description: what it rejects; a sentence.
        breaks: returns the rows that break the rule.
        on_by_default: whether it applies unless it is switched off.
    """

    name: str
    reason: str
    description: str
    breaks: Breaks
    on_by_default: bool = True


def missing(column: str) -> Breaks:
    """Matches rows without a value in a column."""
    return lambda rows, _: pc.is_null(rows[column])


def outside_month(column: str) -> Breaks:
    """Matches rows with a time more than ``days_outside_month`` days outside the file's month."""

    def breaks(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:
        first, past = _bounds(context.first_day, context.following, context.days_outside_month)
        times = rows[column]
        return pc.or_(pc.less(times, first), pc.greater_equal(times, past))

    return breaks


@cache
def _bounds(first_day: date, following: date, days: int) -> tuple[pa.Scalar, pa.Scalar]:
    margin = timedelta(days=days)
    first = datetime.combine(first_day, time()) - margin
    past = datetime.combine(following, time()) + margin
    return scalar(first.isoformat(), TIME), scalar(past.isoformat(), TIME)


def before(column: str, other: str) -> Breaks:
    """Matches rows where one time is before another, unless clocks were set back between them.

    In the fall, New York has one hour twice, so 01:10 can follow 01:55. If both times are in that
    hour, the second may be up to 60 minutes before the first.
    """

    def breaks(rows: pa.RecordBatch, _: RuleContext) -> pa.BooleanArray:
        earlier = pc.less(rows[column], rows[other])
        if not earlier.true_count:
            return earlier
        places = pc.indices_nonzero(earlier)
        hour, hour_before = (
            pc.floor_temporal(rows[name].take(places), unit="hour") for name in (other, column)
        )
        same = pc.equal(hour, hour_before)
        places, hour = places.filter(same), hour.filter(same)
        places = places.filter(repeated_hours(hour)).cast(pa.int64())
        if not len(places):
            return earlier
        return pc.and_not(earlier, pc.is_in(pa.arange(0, len(earlier)), places))

    return breaks


def any_missing(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:
    """Matches rows without a value in a never-null column."""
    found = pa.repeat(FALSE, rows.num_rows)
    for name in context.never_null:
        if rows[name].null_count:
            found = pc.or_(found, pc.is_null(rows[name]))
    return found


def outside_domain(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:
    """Matches rows with a text outside its column's domain."""
    found = pa.repeat(FALSE, rows.num_rows)
    for name, domain in context.domains:
        if rows[name].null_count < rows.num_rows:
            unknown = unknown_texts(rows[name], domain)
            found = found if unknown is None else pc.or_(found, unknown)
    return found


def equal(column: str, spelled: str, type_: pa.DataType) -> Breaks:
    """Matches rows with a certain value, given as text, in a column."""
    value = scalar(spelled, type_)
    return lambda rows, _: pc.equal(rows[column], value)


PICKUP_TIME_PRESENT = Rule(
    "pickup_time_present",
    "no_pickup_time",
    "The row has no pickup time.",
    missing("pickup_datetime"),
)

PICKUP_NEAR_MONTH = Rule(
    "pickup_near_month",
    "pickup_outside_month",
    "The pickup is more than a week (days_outside_month) outside the file's month. Mostly from "
    "clocks that were reset to 2008 or 2009.",
    outside_month("pickup_datetime"),
)

DROPOFF_NOT_BEFORE_PICKUP = Rule(
    "dropoff_not_before_pickup",
    "dropoff_before_pickup",
    "The dropoff is before the pickup. Accepted up to 60 minutes if both are in the hour that New "
    "York has twice in the fall, when clocks are set back.",
    before("dropoff_datetime", "pickup_datetime"),
)

VALUES_PRESENT = Rule(
    "values_present",
    "missing_value",
    "The row has no value in a column that is never null (see above).",
    any_missing,
)

TEXTS_KNOWN = Rule(
    "texts_known",
    "unknown_text",
    "The row has a text that its column does not allow, such as a flag that is neither Y nor N.",
    outside_domain,
)

TIME_RULES = (PICKUP_TIME_PRESENT, PICKUP_NEAR_MONTH, DROPOFF_NOT_BEFORE_PICKUP)
"""The rules about times, for every trip type that the TLC publishes."""

COMMON_RULES = (*TIME_RULES, VALUES_PRESENT, TEXTS_KNOWN)
"""The rules for every trip type that the TLC publishes."""
