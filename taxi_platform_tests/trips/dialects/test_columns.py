"""Missing columns, and other names under which columns are known."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.eras import lost_columns
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import map_columns
from taxi_platform.trips.types import TRIP_TYPES, trip_type
from taxi_platform_tests.trips.dialects.months import (
    canonical_rows,
    month_of,
    picked,
    published_names,
    read,
)
from taxi_platform_tests.trips.shapes import SHAPES, Shape

RENAMED = [
    ("green", "dropoff_location_id", "DropoffLocationID"),
    ("yellow", "pickup_location_id", "PickupLocation"),
    ("yellow", "improvement_surcharge", "ImprovementSurchargeAmount"),
    ("green", "congestion_surcharge", "congestion_surchage"),
    ("yellow", "airport_fee", "airportfees"),
    ("green", "trip_type", "triptyp"),
    ("fhvhv", "driver_pay", "driverspay"),
    ("fhvhv", "request_datetime", "requested_datetime"),
    ("fhvhv", "shared_match_flag", "sharedmatch"),
]


def write(folder: Path, color: str, names: dict[str, str]) -> Path:
    rows = canonical_rows(color, 3, 10)
    path = folder / f"{color}_tripdata_2024-01.parquet"
    table = pa.table({names[n]: pa.array([r[n] for r in rows]) for n in rows[0] if n in names})
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(("color", "column", "name"), RENAMED)
def test_a_renamed_column_fails_the_month_and_is_suggested(
    tmp_path: Path, color: str, column: str, name: str
) -> None:
    path = write(tmp_path, color, published_names(trip_type(color)) | {column: name})
    with pytest.raises(TripFileError) as error:
        clean_trips(path)
    assert f"no column for {column} (is it {name!r}?), which files of {color}|2024-01 have" in str(
        error.value
    )
    trips = clean_trips(path, options=CleaningOptions(missing_columns=(column,)))
    assert sum(b.kept[column].null_count for b in trips) == trips.summary.rows_kept > 0
    assert f"no column for {column}, which files of {color}|2024-01 have: null in every row" in str(
        trips.summary.warnings
    )


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_a_missing_column_fails_the_month(tmp_path: Path, color: str) -> None:
    month = month_of(color)
    for column in trip_type(color).columns:
        era = column.always
        if era is None or not era.since <= month.month <= era.until or column.name == "sr_flag":
            continue
        names = published_names(trip_type(color))
        del names[column.name]
        with pytest.raises(TripFileError, match=f"no column for {column.name}, which"):
            clean_trips(write(tmp_path, color, names))


BIGQUERY = {
    "vendor_id": "vendor_id",
    "pickup_datetime": "pickup_datetime",
    "dropoff_datetime": "dropoff_datetime",
    "rate_code_id": "rate_code",
    "improvement_surcharge": "imp_surcharge",
    "pickup_location_id": "pickup_location_id",
    "dropoff_location_id": "dropoff_location_id",
    "fare_amount": "fare_amount",
    "extra": "extra",
    "tip_amount": "tip_amount",
    "tolls_amount": "tolls_amount",
    "total_amount": "total_amount",
    "store_and_fwd_flag": "store_and_fwd_flag",
}
"""Names in bigquery-public-data.new_york_taxi_trips, tables such as tlc_green_trips_2022."""


@pytest.mark.parametrize("color", ["green", "yellow"])
def test_the_names_of_bigquerys_public_copy_are_accepted(tmp_path: Path, color: str) -> None:
    rows = canonical_rows(color, 3, 10)
    path = write(tmp_path, color, published_names(trip_type(color)) | BIGQUERY)
    assert picked(read(path, color)[0], rows) == rows


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_era_requires_columns_that_it_never_had(shape: Shape) -> None:
    assert lost_columns(map_columns(shape.names, shape.month.color), shape.month) is None


def test_zones_replace_coordinates_but_not_vice_versa() -> None:
    def lost(color: str, month: date, *left_out: str) -> list[str]:
        names = [c.name for c in trip_type(color).columns if c.name not in left_out]
        found = lost_columns(map_columns(names, color), TripMonth(color, month))
        return [c.name for c in found.columns] if found else []

    degrees = [
        f"{end}_{axis}" for end in ("pickup", "dropoff") for axis in ("longitude", "latitude")
    ]
    zones = ["pickup_location_id", "dropoff_location_id"]
    assert lost("yellow", date(2012, 1, 1), *degrees) == []
    assert lost("yellow", date(2012, 1, 1), *zones) == []
    assert lost("yellow", date(2012, 1, 1), *zones, "pickup_longitude") == ["pickup_longitude"]
    assert lost("yellow", date(2016, 7, 1), *zones) == zones


def test_unknown_columns_are_reported(tmp_path: Path) -> None:
    rows = canonical_rows("green", 3, 10)
    names = published_names(trip_type("green"))
    table = pa.table({names[n]: pa.array([r[n] for r in rows]) for n in rows[0]})
    path = tmp_path / "green_tripdata_2024-01.parquet"
    pq.write_table(table.append_column("surge", pa.array([1] * 10)), path)
    assert read(path, "green")[1].warnings == ["1 unknown columns were not read: surge"]


def test_missing_columns_must_name_existing_columns() -> None:
    with pytest.raises(ValueError, match="missing_columns: no column is named surge"):
        CleaningOptions(missing_columns=("surge",))
    with pytest.raises(ValueError, match="utc_times must be"):
        CleaningOptions(utc_times="local")  # type: ignore[arg-type]
