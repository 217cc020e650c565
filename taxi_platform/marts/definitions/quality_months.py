"""What became of the rows of each month's file."""

import pyarrow as pa

from taxi_platform.marts.mart import Mart, count
from taxi_platform.trips.columns import Column

MART = Mart(
    name="quality_months",
    description="A row for each reason for which rows of the month's file were rejected, and one "
    "for those kept; together they are the rows read. From the cleaned file's own account.",
    columns=(
        Column("reason", pa.string(), "Why the rows were rejected, or 'kept'."),
        count("row_count", "Rows of the file; each counts under its first reason."),
        count("trips", "Those of them that are in the table of trips."),
    ),
    sql="""
        SELECT reason, row_count, CASE WHEN reason = 'kept' THEN row_count ELSE 0 END AS trips
        FROM account
    """,
    sums={"trips": "SUM(trips)"},
)
