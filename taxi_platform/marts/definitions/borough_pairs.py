"""Trips from borough to borough."""

import pyarrow as pa

from taxi_platform.marts.mart import Mart, cents, count
from taxi_platform.trips.columns import Column

MART = Mart(
    name="borough_pairs",
    description="A row for each pair of boroughs with trips between them. EWR is Newark airport.",
    columns=(
        Column("pickup_borough", pa.string(), "Borough of the pickup, EWR or Unknown."),
        Column("dropoff_borough", pa.string(), "Borough of the dropoff, EWR or Unknown."),
        count("trips", "Trips."),
        cents("revenue_cents", "Totals charged, without tips in cash."),
    ),
    sql="""
        SELECT pickup_borough, dropoff_borough, SUM(trips) AS trips,
          SUM(total_cents) AS revenue_cents
        FROM pairs
        GROUP BY pickup_borough, dropoff_borough
    """,
    sums={"trips": "SUM(trips)", "revenue_cents": "SUM(total_cents)"},
    needs=("pickup_zone", "dropoff_zone"),
)
