"""A made-up trip type, as a user would add it, in this file only.

It shares no column name with the taxis, so code that assumes a taxi column fails.
"""

from datetime import date

import numpy as np
import pyarrow as pa

from taxi_platform.trips.columns import CODE, SECONDS, TIME, Column, dollars
from taxi_platform.trips.rules import Rule, before, equal, missing, outside_month
from taxi_platform.trips.synthetic_rows import Chunk, SyntheticMonths, pickups_in_order, words
from taxi_platform.trips.trip_type import TripType


def _rows(chunk: Chunk) -> pa.Table:
    """A month as published: some departures missing, some after the arrival, no riders."""
    random, size = chunk.random, chunk.size
    departed = pickups_in_order(chunk).astype("datetime64[us]")
    seconds = random.integers(300, 3000, size)
    odd = random.random(size)
    arrived = departed + np.where(odd < 0.005, -seconds, seconds).astype("timedelta64[s]")
    return pa.table(
        {
            "Shuttle_Line": words(["red", "blue"], random.integers(0, 2, size), pa.string()),
            "Departed": pa.array(departed, mask=odd > 0.998),
            "Arrived": pa.array(arrived),
            "Stop": pa.array(random.integers(1, 40, size)),
            "Riders": pa.array(random.integers(0, 30, size), mask=random.random(size) < 0.02),
            "Fares": pa.array(np.round(random.random(size) * 40, 2)),
            "Subsidy": pa.array(np.full(size, 12.25)),
        }
    )


SHUTTLE = TripType(
    name="shuttle",
    title="Shuttles",
    description="Buses that go to and fro. Made up.",
    first_month=date(2024, 1, 1),
    columns=(
        Column(
            "line",
            pa.string(),
            "The line.",
            ("shuttle_line",),
            required=True,
            never_null=True,
            spelled=(("r", "red"),),
        ),
        Column(
            "departed_at",
            TIME,
            "Departure.",
            ("departed",),
            required=True,
            never_null=True,
            varied=True,
        ),
        Column("arrived_at", TIME, "Arrival.", ("arrived",), varied=True),
        Column("stop_id", CODE, "Where it departed.", ("stop",)),
        Column("riders", SECONDS, "People aboard; 0 where nobody counted."),
        dollars("fares", "What they paid.", required=False),
        dollars("subsidy", "What the city paid.", required=False),
    ),
    header_marks=("shuttle_*",),
    rules=(
        Rule("departed", "never_departed", "There is no departure.", missing("departed_at")),
        Rule(
            "departed_near_month",
            "departed_outside_month",
            "The departure lies outside the month.",
            outside_month("departed_at"),
        ),
        Rule(
            "arrived_after_departure",
            "arrived_too_soon",
            "The arrival lies before the departure.",
            before("arrived_at", "departed_at"),
        ),
        Rule(
            "line_in_service",
            "line_closed",
            "The line is closed.",
            equal("line", "blue", pa.string()),
            on_by_default=False,
        ),
    ),
    time_column="departed_at",
    end_time_column="arrived_at",
    location_column="stop_id",
    total="fares",
    filled={"riders": "0"},
    synthetic=SyntheticMonths(3_000, lambda _: ".csv.gz", _rows),
)
