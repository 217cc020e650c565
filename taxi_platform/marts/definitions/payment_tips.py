"""Fares and tips by type of payment."""

from taxi_platform.marts.mart import Mart, Ratio, cents, count
from taxi_platform.trips.columns import CODE, Column

MART = Mart(
    name="payment_tips",
    description="A row for each type of payment. Tips are recorded of cards only, so only there is "
    "a share of tips known.",
    columns=(
        Column(
            "payment_type",
            CODE,
            "0 flex fare, 1 credit card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided; null "
            "where the TLC did not publish it.",
        ),
        count("trips", "Trips."),
        cents("fare_cents", "Fares."),
        cents("tip_cents", "Tips; those in cash are not recorded."),
        cents("tipped_fare_cents", "Fares of which tips are recorded: those paid by card; else 0."),
    ),
    sql="""
        SELECT payment_type, SUM(trips) AS trips, SUM(fare_cents) AS fare_cents,
          SUM(tip_cents) AS tip_cents,
          CASE WHEN payment_type = 1 THEN SUM(fare_cents) ELSE 0 END AS tipped_fare_cents
        FROM hours
        GROUP BY payment_type
    """,
    sums={
        "trips": "SUM(trips)",
        "fare_cents": "SUM(fare_cents)",
        "tip_cents": "SUM(tip_cents)",
        "tipped_fare_cents": "SUM(CASE WHEN payment_type = 1 THEN fare_cents ELSE 0 END)",
    },
    needs=("payment", "fare", "tip"),
    ratios={
        "tip_share": Ratio(
            "CASE WHEN payment_type = 1 THEN tip_cents * 1.0 / NULLIF(tipped_fare_cents, 0) END",
            "Tips as a share of fares, 0.2 is 20 %; null where tips are not recorded.",
        ),
    },
)
