"""Cleaning rules, as data: which rows are not kept, and why.

A rule looks at one row at a time, so that its verdict does not depend on how rows were batched.
Rows that could not be read at all never come here. What is *not* a rule, on purpose (all of it is
real in the TLC's files): negative amounts (reversals), missing codes (the null block), totals that
differ from the sum of their parts, trips that share times and zones.

Rules that several kinds of trip have are defined here; which of them a kind has is said in
``types``.
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
    """What a rule may know beside the row.

    Attributes:
        first_day: of the file's month.
        following: the first day after the month.
        days_outside_month: how many days outside the month a pickup may lie.
        never_null: the columns that every trip has a value in, the pickup time excepted, which has
            a rule of its own.
        domains: the text columns in which a text is outside their domain, each with that.
    """

    first_day: date
    following: date
    days_outside_month: int
    never_null: tuple[str, ...] = ()
    domains: tuple[tuple[str, str], ...] = ()


Breaks = Callable[[pa.RecordBatch, RuleContext], pa.BooleanArray]
"""Gives True for each row of a batch that breaks a rule; null counts as kept."""


@dataclass(frozen=True)
class Rule:
    """One reason not to keep a row.

    Attributes:
        name: the rule, as options name it.
        reason: the code that a rejected row carries.
        description: what it rejects, in a sentence.
        breaks: which rows break it.
        on_by_default: whether it applies unless it is switched off.
    """

    name: str
    reason: str
    description: str
    breaks: Breaks
    on_by_default: bool = True


def missing(column: str) -> Breaks:
    """Breaks where a column has no value."""
    return lambda rows, _: pc.is_null(rows[column])


def outside_month(column: str) -> Breaks:
    """Breaks where a time lies more than ``days_outside_month`` outside the file's month."""

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
    """Breaks where one time lies before another, and that cannot be due to the clocks.

    In the hour that New York has twice in autumn, 01:10 comes after 01:55 as well as before it:
    where both times lie in such an hour, up to 60 minutes the wrong way are right.
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
    """Breaks where a column has no value that every trip has one in."""
    found = pa.repeat(FALSE, rows.num_rows)
    for name in context.never_null:
        if rows[name].null_count:
            found = pc.or_(found, pc.is_null(rows[name]))
    return found


def outside_domain(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:
    """Breaks where a coded text is none that its column has."""
    found = pa.repeat(FALSE, rows.num_rows)
    for name, domain in context.domains:
        if rows[name].null_count < rows.num_rows:
            unknown = unknown_texts(rows[name], domain)
            found = found if unknown is None else pc.or_(found, unknown)
    return found


def equal(column: str, spelled: str, type_: pa.DataType) -> Breaks:
    """Breaks where a column has a certain value, given as text."""
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
    "The pickup lies more than a week (days_outside_month) outside the file's month: "
    "clocks that were reset, mostly to 2008 and 2009.",
    outside_month("pickup_datetime"),
)

DROPOFF_NOT_BEFORE_PICKUP = Rule(
    "dropoff_not_before_pickup",
    "dropoff_before_pickup",
    "The dropoff lies before the pickup, and not because clocks were set back between them: within "
    "the hour that New York has twice in autumn it may.",
    before("dropoff_datetime", "pickup_datetime"),
)

VALUES_PRESENT = Rule(
    "values_present",
    "missing_value",
    "The row lacks a value in a column that every trip has one in (never null, above).",
    any_missing,
)

TEXTS_KNOWN = Rule(
    "texts_known",
    "unknown_text",
    "The row has a text that its column does not know, such as a flag that is neither Y nor N.",
    outside_domain,
)

TIME_RULES = (PICKUP_TIME_PRESENT, PICKUP_NEAR_MONTH, DROPOFF_NOT_BEFORE_PICKUP)
"""What is asked of the times of every kind of trip that the TLC publishes."""

COMMON_RULES = (*TIME_RULES, VALUES_PRESENT, TEXTS_KNOWN)
"""What is asked of every kind of trip that the TLC publishes."""
