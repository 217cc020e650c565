"""Trips, revenue and airports by pickup zone."""

from taxi_platform.marts.mart import Mart, Ratio, cents, count, miles
from taxi_platform.marts.relations import AIRPORTS
from taxi_platform.trips.columns import CODE, Column

MART = Mart(
    name="zone_months",
    description="A row for each pickup zone with trips.",
    columns=(
        Column("pickup_zone", CODE, "Zone of the pickup; null before the TLC published zones."),
        count("trips", "Trips."),
        cents("revenue_cents", "Totals charged, without tips in cash."),
        cents("tip_cents", "Tips; those in cash are not recorded."),
        miles("miles", "Distance of the trips, as published."),
        count("trips_to_airports", "Trips that ended at Newark, Kennedy or LaGuardia airport."),
        count(
            "trips_from_airports",
            "Trips that began at one of these airports: all of its own zone, none of the others.",
        ),
    ),
    sql=f"""
        SELECT pickup_zone, SUM(trips) AS trips, SUM(total_cents) AS revenue_cents,
          SUM(tip_cents) AS tip_cents, SUM(mile_thousandths) / 1000.0 AS miles,
          SUM(to_airport_trips) AS trips_to_airports,
          SUM(CASE WHEN pickup_zone IN ({AIRPORTS}) THEN trips ELSE 0 END) AS trips_from_airports
        FROM days
        GROUP BY pickup_zone
    """,  # noqa: S608 (numbers of zones)
    sums={
        "trips": "SUM(trips)",
        "revenue_cents": "SUM(total_cents)",
        "tip_cents": "SUM(tip_cents)",
        "miles": "SUM(mile_thousandths)",
        "trips_to_airports": "SUM(to_airport_trips)",
        "trips_from_airports": "SUM(from_airport_trips)",
    },
    needs=("pickup_zone", "dropoff_zone", "miles"),
    ratios={
        "revenue_a_trip": Ratio("revenue_cents / 100.0 / trips", "Dollars charged a trip."),
    },
)
