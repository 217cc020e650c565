"""A month of every mart, computed by DuckDB from the published file, by other means than the marts.

The cleaning rules are written here once more, as far as green taxis' Parquet needs them.
"""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

KEPT = """
    SELECT * REPLACE (round(fare_amount * 100)::BIGINT AS fare_amount,
        round(tip_amount * 100)::BIGINT AS tip_amount,
        round(total_amount * 100)::BIGINT AS total_amount),
      lpep_pickup_datetime AS t, lpep_dropoff_datetime - lpep_pickup_datetime AS took,
      PULocationID AS origin, DOLocationID AS target
    FROM read_parquet($path)
    WHERE lpep_pickup_datetime >= $month::DATE - INTERVAL 7 DAY
      AND lpep_pickup_datetime < $month::DATE + INTERVAL 1 MONTH + INTERVAL 7 DAY
      AND lpep_dropoff_datetime >= lpep_pickup_datetime
      AND passenger_count IS DISTINCT FROM 0
"""

DROVE = "took BETWEEN INTERVAL 1 MINUTE AND INTERVAL 4 HOUR AND trip_distance < 100"

QUERIES = {
    "zone_days": """SELECT t::DATE, origin, count(*), sum(coalesce(passenger_count, 0)),
        round(sum(trip_distance), 3), sum(fare_amount), sum(tip_amount), sum(total_amount)
        FROM kept GROUP BY ALL""",
    "zone_months": """SELECT origin, count(*), sum(total_amount), sum(tip_amount),
        round(sum(trip_distance), 3), count_if(target IN (1, 132, 138)),
        count_if(origin IN (1, 132, 138)) FROM kept GROUP BY ALL""",
    "hour_speeds": f"""SELECT isodow(t), hour(t), count_if({DROVE}),
        round(coalesce(sum(trip_distance) FILTER ({DROVE}), 0), 3),
        coalesce(sum(epoch(took)) FILTER ({DROVE}), 0) FROM kept GROUP BY ALL""",
    "payment_tips": """SELECT payment_type, count(*), sum(fare_amount), sum(tip_amount),
        if(payment_type = 1, sum(fare_amount), 0) FROM kept GROUP BY payment_type""",
    "borough_pairs": """SELECT a.Borough, b.Borough, count(*), sum(total_amount) FROM kept
        JOIN zones a ON a.LocationID = origin JOIN zones b ON b.LocationID = target
        GROUP BY ALL""",
    "congestion_days": f"""SELECT t::DATE, count(*), count_if(fee > 0), sum(fee),
        count_if({DROVE}), round(coalesce(sum(trip_distance) FILTER ({DROVE}), 0), 3),
        coalesce(sum(epoch(took)) FILTER ({DROVE}), 0)
        FROM (SELECT *, $fee AS fee FROM kept) GROUP BY ALL""",
}


def expected_marts(path: Path, month: date, lookup: Path) -> dict[str, set[tuple[Any, ...]]]:
    """The rows of each mart, from a published file of green trips.

    Args:
        path: the file.
        month: its month.
        lookup: the TLC's zones.
    """
    with duckdb.connect() as connection:
        kept = KEPT.replace("$path", f"'{path}'").replace("$month", f"'{month}'")
        connection.execute(f"CREATE TABLE kept AS {kept}")
        connection.execute(
            f"CREATE TABLE zones AS FROM read_csv('{lookup}', types={{'LocationID': 'SMALLINT'}})"
        )
        # In some lookups the last one is N/A.
        connection.execute("UPDATE zones SET Borough = 'Unknown' WHERE LocationID > 263")
        names = [row[0] for row in connection.execute("DESCRIBE kept").fetchall()]
        fee = "round(cbd_congestion_fee * 100)" if "cbd_congestion_fee" in names else "0"
        return {
            mart: {
                tuple(_plain(value) for value in row)
                for row in connection.execute(query.replace("$fee", fee)).fetchall()
            }
            for mart, query in QUERIES.items()
        }


def _plain(value: Any) -> Any:
    """Numbers without their types, so that those of different stores compare."""
    return float(value) if isinstance(value, (int, float)) or hasattr(value, "as_tuple") else value
