"""Generates canonical months, and reads a file that contains one in some dialect."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from taxi_platform.trips.cleaning import CleaningOptions, CleaningSummary, clean_trips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.trip_type import TripType
from taxi_platform.trips.types import trip_type
from taxi_platform_tests.trips.published import LENIENT, local

MONTH = date(2024, 1, 1)
METERED = replace(LENIENT, missing_passenger_count="keep")

Rows = list[dict[str, Any]]
"""Python values by canonical name."""


def month_of(color: str) -> TripMonth:
    return TripMonth(color, MONTH)


def options_of(color: str, **chosen: Any) -> CleaningOptions:
    return replace(METERED if color in ("green", "yellow") else LENIENT, **chosen)


def published_names(kind: TripType) -> dict[str, str]:
    """One of the TLC's names for each column, by canonical name."""
    names = {c.name: c.published_as[0] if c.published_as else c.name for c in kind.columns}
    if kind.name == "yellow":
        names = {k: name.replace("lpep_", "tpep_") for k, name in names.items()}
    return names


def canonical_rows(color: str, seed: int, count: int) -> Rows:
    """Trips that break no rule, without duplicates, with nulls in every column that allows them."""
    random = Random(seed)  # noqa: S311 - no secret
    kind = trip_type(color)
    rows = []
    for number in range(count):
        pickup = datetime.combine(MONTH, datetime.min.time()) + timedelta(
            minutes=5 + 40 * number, seconds=random.randrange(60)
        )
        row = {c.name: _value(c, random) for c in kind.columns}
        row["pickup_datetime"] = pickup
        row["dropoff_datetime"] = pickup + timedelta(seconds=random.randrange(60, 4_000))
        for lost in ("pickup_longitude", "pickup_latitude", "sr_flag"):
            row.pop(lost, None)
        rows.append({k: v for k, v in row.items() if not k.startswith("dropoff_l") or "id" in k})
    return rows


def _value(column: Any, random: Random) -> Any:
    if not (column.never_null or column.required) and random.random() < 0.1:
        return None
    if pa.types.is_timestamp(column.type):
        return local("2024-01-03") + timedelta(seconds=random.randrange(86_400))
    if pa.types.is_floating(column.type):
        return random.randrange(-500, 20_000) / 100
    if pa.types.is_integer(column.type):
        return random.randrange(1, 7)
    if column.domain == "N|Y":
        return random.choice("NNNY")
    return random.choice(["HV0003", "HV0005"] if column.domain else ["B02764", "B03404"])


def read(path: Path, color: str, **chosen: Any) -> tuple[Rows, CleaningSummary]:
    """The kept rows of a file, without the columns that it does not contain.

    Raises:
        TripFileError: the file is refused.
    """
    trips = clean_trips(path, month_of(color), options_of(color, **chosen))
    batches = list(trips)
    return [row for b in batches for row in b.kept.to_pylist()], trips.summary


def without(rows: Rows, *names: str) -> Rows:
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def picked(rows: Rows, like: Rows) -> Rows:
    """Selects the columns of other rows. All others except the file's month must be null."""
    names = like[0].keys()
    for row in rows:
        beyond = {k: v for k, v in row.items() if k not in names and k != "data_file_month"}
        assert not any(v is not None for v in beyond.values()), beyond
    return [{k: row[k] for k in names} for row in rows]


def refusal(path: Path, color: str, **chosen: Any) -> str:
    """The error message with which a file is refused at the default limit."""
    try:
        read(path, color, max_rejected_share=0.05, **chosen)
    except TripFileError as error:
        message = str(error)
        assert message.isprintable(), message
        return message
    raise AssertionError(f"{path.name} was not refused")
