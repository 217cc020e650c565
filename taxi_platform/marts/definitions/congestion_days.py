"""The congestion relief zone charge by day."""

import pyarrow as pa

from taxi_platform.marts.mart import COUNT, Mart, Ratio, cents, count, miles
from taxi_platform.trips.columns import Column

MART = Mart(
    name="congestion_days",
    description="A row for each day with trips. The charge exists since 2025-01-05; before, its "
    "columns are 0, so that years can be compared. Mean speed is a ratio of sums, of the trips "
    "that hour_speeds counts.",
    columns=(
        Column("day", pa.date32(), "Day of the pickup, New York local time."),
        count("trips", "Trips."),
        count("fee_trips", "Trips with a congestion relief zone charge over 0."),
        cents("fee_cents", "Sum of the charge."),
        count("driven_trips", "Trips of 1 minute to 4 hours and less than 100 miles."),
        miles("driven_miles", "Their distance."),
        Column("driven_seconds", COUNT, "Their duration.", unit="seconds"),
    ),
    sql="""
        SELECT day, SUM(trips) AS trips, SUM(fee_trips) AS fee_trips,
          COALESCE(SUM(fee_cents), 0) AS fee_cents, SUM(driven_trips) AS driven_trips,
          COALESCE(SUM(driven_thousandths), 0) / 1000.0 AS driven_miles,
          COALESCE(SUM(driven_seconds), 0) AS driven_seconds
        FROM hours
        GROUP BY day
    """,
    sums={
        "trips": "SUM(trips)",
        "fee_trips": "SUM(fee_trips)",
        "fee_cents": "COALESCE(SUM(fee_cents), 0)",
        "driven_trips": "SUM(driven_trips)",
        "driven_miles": "COALESCE(SUM(driven_thousandths), 0)",
        "driven_seconds": "COALESCE(SUM(driven_seconds), 0)",
    },
    needs=("congestion_fee", "dropoff_time", "miles"),
    ratios={
        "mph": Ratio(
            "driven_miles * 3600.0 / NULLIF(driven_seconds, 0)", "Mean speed, in miles an hour."
        ),
    },
)
