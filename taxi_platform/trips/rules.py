"""The cleaning rules, as data: which rows are not kept, and why.

A rule looks at one row at a time, so that its verdict does not depend on how rows were batched.
Rows that could not be read at all never come here. What is *not* a rule, on purpose (all of it is
real in the TLC's files): negative amounts (reversals), missing codes (the null block), totals that
differ from the sum of their parts, trips that share times and zones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import scalar
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import CODE, TIME

_ZERO = scalar("0", CODE)


@dataclass(frozen=True)
class RuleContext:
    """What a rule may know beside the row.

    Attributes:
        month: the file's month.
        days_outside_month: how far outside it a pickup may lie.
    """

    month: TripMonth
    days_outside_month: int


@dataclass(frozen=True)
class Rule:
    """One reason not to keep a row.

    Attributes:
        name: the rule, as options name it.
        reason: the code that a rejected row carries.
        description: what it rejects, in a sentence.
        breaks: gives True for each row of a batch that breaks it; null counts as kept.
        on_by_default: whether it applies unless it is switched off.
    """

    name: str
    reason: str
    description: str
    breaks: Callable[[pa.RecordBatch, RuleContext], pa.BooleanArray]
    on_by_default: bool = True


def _no_pickup_time(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:  # noqa: ARG001
    return pc.is_null(rows["pickup_datetime"])


def _pickup_outside_month(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:
    first, past = _pickup_bounds(context)
    pickups = rows["pickup_datetime"]
    return pc.or_(pc.less(pickups, first), pc.greater_equal(pickups, past))


@cache
def _pickup_bounds(context: RuleContext) -> tuple[pa.Scalar, pa.Scalar]:
    margin = timedelta(days=context.days_outside_month)
    first = datetime.combine(context.month.month, time()) - margin
    past = datetime.combine(context.month.following, time()) + margin
    return scalar(first.isoformat(), TIME), scalar(past.isoformat(), TIME)


def _dropoff_before_pickup(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:  # noqa: ARG001
    return pc.less(rows["dropoff_datetime"], rows["pickup_datetime"])


def _zero_passengers(rows: pa.RecordBatch, context: RuleContext) -> pa.BooleanArray:  # noqa: ARG001
    return pc.equal(rows["passenger_count"], _ZERO)


RULES: tuple[Rule, ...] = (
    Rule(
        "pickup_time_present",
        "no_pickup_time",
        "The row has no pickup time.",
        _no_pickup_time,
    ),
    Rule(
        "pickup_near_month",
        "pickup_outside_month",
        "The pickup lies more than a week (days_outside_month) outside the file's month: "
        "clocks that were reset, mostly to 2008 and 2009.",
        _pickup_outside_month,
    ),
    Rule(
        "dropoff_not_before_pickup",
        "dropoff_before_pickup",
        "The dropoff lies before the pickup.",
        _dropoff_before_pickup,
    ),
    Rule(
        "passengers_aboard",
        "zero_passengers",
        "The row says that nobody was aboard; a missing count is another matter and is kept.",
        _zero_passengers,
    ),
)
"""Every rule, in the order in which a row that breaks several is counted."""


def rules_named(names: tuple[str, ...] | None) -> tuple[Rule, ...]:
    """The rules of these names, in the fixed order; None means those that are on by default.

    Raises:
        ValueError: a name is not a rule's.
    """
    if names is None:
        return tuple(rule for rule in RULES if rule.on_by_default)
    known = {rule.name for rule in RULES}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"no rule named {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    return tuple(rule for rule in RULES if rule.name in names)
