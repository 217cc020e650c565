"""Trips by day and pickup zone."""

import pyarrow as pa

from taxi_platform.marts.mart import Mart, cents, count, miles
from taxi_platform.trips.columns import CODE, Column

MART = Mart(
    name="zone_days",
    description="A row for each day and pickup zone with trips. Distances are as published, also "
    "absurd ones; hour_speeds leaves those out.",
    columns=(
        Column("day", pa.date32(), "Day of the pickup, New York local time."),
        Column("pickup_zone", CODE, "Zone of the pickup; null before the TLC published zones."),
        count("trips", "Trips."),
        count("passengers", "Passengers; 0 where the driver entered none."),
        miles("miles", "Distance of the trips."),
        cents("fare_cents", "Fares."),
        cents("tip_cents", "Tips; those in cash are not recorded."),
        cents("total_cents", "Totals charged, without tips in cash."),
    ),
    sql="""
        SELECT day, pickup_zone, trips, passengers, mile_thousandths / 1000.0 AS miles,
          fare_cents, tip_cents, total_cents
        FROM days
    """,
    sums={
        "trips": "SUM(trips)",
        "passengers": "SUM(passengers)",
        "miles": "SUM(mile_thousandths)",
        "fare_cents": "SUM(fare_cents)",
        "tip_cents": "SUM(tip_cents)",
        "total_cents": "SUM(total_cents)",
    },
    needs=("pickup_zone", "miles", "fare"),
)
