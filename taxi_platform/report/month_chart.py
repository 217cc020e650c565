"""The chart of one month: trips by day."""

from collections.abc import Mapping
from datetime import timedelta

from taxi_platform.report.picture import PALETTE, Picture, field
from taxi_platform.trips.month import TripMonth

WIDTH, HEIGHT = 720, 220


def trips_a_day(month: TripMonth, rows_by_day: Mapping[str, int], *, synthetic: bool) -> Picture:
    """A bar chart of a month's trips by day of pickup.

    Args:
        month: color and month; each of its days is a bar, also those without trips.
        rows_by_day: trips by day, such as ``2024-01-31``, New York local time.
        synthetic: whether they are made up.
    """
    rows = []
    day = month.month
    while day < month.following:
        trips = rows_by_day.get(day.isoformat(), 0)
        rows.append({"day": day.day, "trips": trips, "weekend": day.weekday() >= 5})
        day += timedelta(days=1)
    made_up = "Synthetic: " if synthetic else ""
    weekends = {"condition": {"test": "datum.weekend", "value": PALETTE[4]}, "value": PALETTE[0]}
    spec = {
        "mark": "bar",
        "encoding": {
            "x": field("day", "ordinal", "day", axis={"labelAngle": 0, "labelOverlap": True}),
            "y": field("trips", "quantitative", "trips", axis={"format": "~s"}),
            "color": weekends,
        },
    }
    title = f"{made_up}{month.color} trips a day, {month.month:%B %Y}"
    return Picture("trips_a_day", title, "Weekends are lighter.", spec, rows, HEIGHT)
