from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.blocks import UNPARSEABLE, canonical_batch
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.rules import RuleContext
from taxi_platform.trips.schema import columns
from taxi_platform.trips.types import TRIP_TYPES, every_rule, trip_type
from taxi_platform_tests.trips.published import bounded, local

GREEN = trip_type("green")
TYPES = {column.name: column.type for column in columns("green")}
MOMENT = timedelta(microseconds=1)


def verdicts(
    rule: str, month: date = date(2024, 1, 1), days: int = 7, **values: list[Any]
) -> list[bool]:
    """Whether each row breaks the rule; null means that it does not."""
    arrays = {name: pa.array(column, TYPES[name]) for name, column in values.items()}
    length = len(next(iter(arrays.values())))
    context = RuleContext(month, TripMonth("green", month).following, days)
    (found,) = GREEN.rules_named((rule,))
    broken = found.breaks(canonical_batch("green", arrays, length), context)
    return [bool(value) for value in broken.to_pylist()]


def test_a_row_without_a_pickup_time_is_rejected() -> None:
    pickups = [None, local("2024-01-01")]

    assert verdicts("pickup_time_present", pickup_datetime=pickups) == [True, False]


@pytest.mark.parametrize(
    ("month", "start", "past"),
    [
        (date(2024, 1, 1), local("2023-12-25"), local("2024-02-08")),
        (date(2024, 2, 1), local("2024-01-25"), local("2024-03-08")),
        (date(2023, 12, 1), local("2023-11-24"), local("2024-01-08")),
    ],
)
def test_a_pickup_up_to_a_week_outside_the_month_is_kept(
    month: date, start: datetime, past: datetime
) -> None:
    pickups = [start, start - MOMENT, past - MOMENT, past, None]

    broken = verdicts("pickup_near_month", month, pickup_datetime=pickups)

    assert broken == [False, True, False, True, False]


@pytest.mark.parametrize("days", [0, 1, 36_500])
def test_days_outside_month_can_be_changed(days: int) -> None:
    first, past = local("2024-01-01"), local("2024-02-01")
    margin = timedelta(days=days)
    pickups = [first - margin, first - margin - MOMENT, past + margin - MOMENT, past + margin]

    broken = verdicts("pickup_near_month", days=days, pickup_datetime=pickups)

    assert broken == [False, True, False, True]


@bounded
@given(year=st.integers(2009, 2100), month=st.integers(1, 12))
def test_every_pickup_in_the_month_is_kept(year: int, month: int) -> None:
    start, following = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    past = local(following.isoformat())
    pickups = [local(start.isoformat()), past - MOMENT, past]

    broken = verdicts("pickup_near_month", start, days=0, pickup_datetime=pickups)

    assert broken == [False, False, True]


def test_a_dropoff_before_its_pickup_is_rejected_but_not_at_the_same_time() -> None:
    pickup = local("2024-01-15 12:00:00")
    dropoffs = [pickup - MOMENT, pickup, pickup + timedelta(days=9), None]

    broken = verdicts(
        "dropoff_not_before_pickup", pickup_datetime=[pickup] * 4, dropoff_datetime=dropoffs
    )

    assert broken == [True, False, False, False]
    assert verdicts(
        "dropoff_not_before_pickup", pickup_datetime=[None], dropoff_datetime=[pickup]
    ) == [False]


def test_a_row_with_zero_passengers_is_rejected() -> None:
    broken = verdicts("passengers_aboard", passenger_count=[0, 1, None, 9, -1])

    assert broken == [True, False, False, False, False]


def test_no_rule_rejects_amounts_or_codes() -> None:
    """Reversals, the null block and unknown zones are real trips."""
    arrays = {
        "pickup_datetime": pa.array([local("2024-01-15")], TYPES["pickup_datetime"]),
        "dropoff_datetime": pa.array([local("2024-01-15")], TYPES["dropoff_datetime"]),
        "total_amount": pa.array([-1e6]),
        "trip_distance": pa.array([259_778.0]),
        "pickup_location_id": pa.array([265], pa.int16()),
    }
    context = RuleContext(date(2024, 1, 1), date(2024, 2, 1), 7)
    batch = canonical_batch("green", arrays, 1)

    assert not any(rule.breaks(batch, context)[0].as_py() for rule in GREEN.rules)


def test_names_and_reasons_of_rules_are_unique() -> None:
    rules = every_rule()
    assert len({rule.name for rule in rules}) == len({rule.reason for rule in rules}) == len(rules)
    assert UNPARSEABLE not in {rule.reason for rule in rules}
    assert all(rule.description.endswith(".") for rule in rules)


def test_trip_types_share_rule_objects() -> None:
    shared = {rule.name: set(colors) for rule, colors in every_rule().items()}

    assert shared.pop("passengers_aboard") == {"green", "yellow"}
    assert all(colors == set(TRIP_TYPES) for colors in shared.values())


def test_the_default_rules_are_the_documented_ones() -> None:
    assert [rule.name for rule in GREEN.rules_named(None)] == [
        "pickup_time_present",
        "pickup_near_month",
        "dropoff_not_before_pickup",
        "values_present",
        "texts_known",
        "passengers_aboard",
    ]


def test_rules_are_applied_in_a_fixed_order() -> None:
    rules = GREEN.rules
    names = tuple(rule.name for rule in rules)

    assert GREEN.rules_named(names[::-1]) == rules
    assert GREEN.rules_named((names[2], names[2])) == (rules[2],)
    assert GREEN.rules_named(()) == ()


def test_an_unknown_rule_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(ValueError, match="green trips have no rule named fares, tips; use") as e:
        GREEN.rules_named(("tips", "passengers_aboard", "fares"))
    assert all(rule.name in str(e.value) for rule in GREEN.rules)
