"""Speeds by day of the week and hour."""

from taxi_platform.marts.mart import COUNT, Mart, Ratio, count, miles
from taxi_platform.trips.columns import CODE, Column

MART = Mart(
    name="hour_speeds",
    description="A row for each day of the week and hour of the pickup. Only trips of 1 minute to "
    "4 hours and less than 100 miles: what else there is of times and distances is mostly wrong. "
    "Speed is a ratio of sums, so that it can be computed of any rows together.",
    columns=(
        Column("weekday", CODE, "Day of the week of the pickup, 1 Monday to 7 Sunday."),
        Column("hour", CODE, "Hour of the pickup, 0 to 23, New York local time."),
        count("trips", "Trips with a plausible duration and distance."),
        miles("miles", "Their distance."),
        Column("seconds", COUNT, "Their duration.", unit="seconds"),
    ),
    sql="""
        SELECT weekday, hour, SUM(driven_trips) AS trips,
          COALESCE(SUM(driven_thousandths), 0) / 1000.0 AS miles,
          COALESCE(SUM(driven_seconds), 0) AS seconds
        FROM hours
        GROUP BY weekday, hour
    """,
    sums={
        "trips": "SUM(driven_trips)",
        "miles": "COALESCE(SUM(driven_thousandths), 0)",
        "seconds": "COALESCE(SUM(driven_seconds), 0)",
    },
    needs=("dropoff_time", "miles"),
    ratios={
        "hours_driven": Ratio("seconds / 3600.0", "Duration of the trips, in hours."),
        "mph": Ratio("miles * 3600.0 / NULLIF(seconds, 0)", "Mean speed, in miles an hour."),
    },
)
