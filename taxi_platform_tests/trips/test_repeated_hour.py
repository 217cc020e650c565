"""The hour that New York has twice, when clocks are set back in the fall."""

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from taxi_platform.trips.blocks import canonical_batch
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.rules import RuleContext
from taxi_platform.trips.times import repeated_hours
from taxi_platform.trips.types import TRIP_TYPES, trip_type
from taxi_platform_tests.trips.published import local

# The Sundays on which clocks were set back, by the law at the time: the last one in October until
# 2006, the first one in November since.
SUNDAYS = ["2005-10-30", "2006-10-29", "2007-11-04", "2015-11-01", "2024-11-03", "2025-11-02"]


def broken(color: str, pickup: str, dropoff: str) -> bool:
    kind = trip_type(color)
    arrays: dict[str, Any] = {
        "pickup_datetime": pa.array([local(pickup)], pa.timestamp("us")),
        "dropoff_datetime": pa.array([local(dropoff)], pa.timestamp("us")),
    }
    (rule,) = kind.rules_named(("dropoff_not_before_pickup",))
    context = RuleContext(date(2024, 11, 1), TripMonth(color, date(2024, 11, 1)).following, 7)
    return bool(rule.breaks(canonical_batch(color, arrays, 1), context)[0].as_py())


@pytest.mark.parametrize("color", TRIP_TYPES)
@pytest.mark.parametrize("day", SUNDAYS)
def test_in_the_repeated_hour_a_dropoff_may_be_60_minutes_early(color: str, day: str) -> None:
    assert not broken(color, f"{day} 01:55", f"{day} 01:10")
    assert not broken(color, f"{day} 01:59:59.999999", f"{day} 01:00")


@pytest.mark.parametrize(
    ("pickup", "dropoff"),
    [
        ("2024-11-03 02:00", "2024-11-03 01:59"),
        ("2024-11-03 01:10", "2024-11-03 00:59"),
        ("2024-11-03 00:50", "2024-11-03 00:10"),
        ("2024-11-04 01:55", "2024-11-04 01:10"),
        ("2024-11-03 01:55", "2023-11-05 01:10"),
        ("2024-03-10 02:55", "2024-03-10 02:10"),  # an hour skipped in spring
    ],
)
def test_outside_the_repeated_hour_a_dropoff_before_its_pickup_is_rejected(
    pickup: str, dropoff: str
) -> None:
    assert broken("yellow", pickup, dropoff)


@pytest.mark.slow
def test_one_hour_of_each_year_is_repeated() -> None:
    first = datetime.fromisoformat("2009-01-01")
    hours = [first + timedelta(hours=n) for n in range(17 * 8_766)]
    array = pa.array(hours, pa.timestamp("us"))
    found = array.filter(repeated_hours(array)).to_pylist()
    assert len(found) == len({hour.year for hour in found}) == 17
    assert all(hour.hour == 1 and hour.weekday() == 6 and hour.month == 11 for hour in found)
