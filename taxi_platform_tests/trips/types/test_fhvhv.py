"""High-volume for-hire vehicles: every era of their files, and their synthetic months."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.reader import open_trip_file
from taxi_platform.trips.schema import color_of_header, map_columns, trip_schema
from taxi_platform.trips.synthetic import (
    CHUNK_ROWS,
    publication_ending,
    synthetic_chunks,
    write_synthetic_month,
)
from taxi_platform_tests.trips.published import LENIENT, collect, local, write_parquet

CSV_2019 = (
    "hvfhs_license_num,dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,"
    "DOLocationID,SR_Flag"
)
PARQUET = [
    *("hvfhs_license_num", "dispatching_base_num", "originating_base_num", "request_datetime"),
    *("on_scene_datetime", "pickup_datetime", "dropoff_datetime", "PULocationID", "DOLocationID"),
    *("trip_miles", "trip_time", "base_passenger_fare", "tolls", "bcf", "sales_tax"),
    *("congestion_surcharge", "airport_fee", "tips", "driver_pay", "shared_request_flag"),
    *("shared_match_flag", "access_a_ride_flag", "wav_request_flag", "wav_match_flag"),
]
"""The columns of every month since all were republished in 2022."""

TRIP: dict[str, Any] = dict(
    zip(
        PARQUET,
        [
            *("HV0003", "B02764", "B02764", local("2021-01-01 00:46:11")),
            *(local("2021-01-01 00:47:17"), local("2021-01-01 00:48:14")),
            *(local("2021-01-01 01:08:42"), 143, 78, 9.2, 1228, 27.11, 0.0, 0.81, 2.41, 2.75),
            *(None, 0.0, 22.44, "N", "N", " ", "N", "N"),
        ],
        strict=True,
    )
)
"""A trip of January 2021, with Uber's blank flag, and without an airport fee."""

NAMED = {"PULocationID": "pickup_location_id", "DOLocationID": "dropoff_location_id"}


def table(*, new: bool, **changes: list[Any]) -> pa.Table:
    """Trips with the types of 2021 or 2024; a list replaces a column's values."""
    text, zone = (pa.large_string(), pa.int32()) if new else (pa.string(), pa.int64())
    types = {
        **dict.fromkeys(PARQUET, pa.float64()),
        **{name: text for name in PARQUET if name.endswith(("_num", "_flag"))},
        **{name: pa.timestamp("us") for name in PARQUET if name.endswith("_datetime")},
        **dict.fromkeys(NAMED, zone),
        "trip_time": pa.int64(),
        "cbd_congestion_fee": pa.float64(),
    }
    rows = max((len(values) for values in changes.values()), default=1)
    values = {name: [TRIP[name]] * rows for name in PARQUET} | changes
    return pa.table({name: pa.array(values[name], types[name]) for name in values})


@pytest.mark.parametrize("header", [CSV_2019.split(","), PARQUET, [*PARQUET, "cbd_congestion_fee"]])
def test_the_header_of_every_era_maps_completely(header: list[str]) -> None:
    found = map_columns(header, "fhvhv")

    assert found.unknown == ()
    assert list(found.mapped) == header
    assert color_of_header(header) == "fhvhv"
    assert found.mapped["PULocationID"].name == "pickup_location_id"


def test_fhvhv_file_names_are_not_read_as_another_color() -> None:
    assert parse_file_name("fhvhv_tripdata_2024-01.parquet") == ("fhvhv", date(2024, 1, 1))
    assert parse_file_name("fhv_tripdata_2024-01.parquet")[0] is None


@pytest.mark.parametrize("new", [False, True])
def test_every_column_of_a_published_row_is_read(tmp_path: Path, new: bool) -> None:
    path = write_parquet(tmp_path / "fhvhv_tripdata_2021-01.parquet", table(new=new))

    (row,) = collect(clean_trips(path)).kept.to_pylist()

    expected = {NAMED.get(name, name): value for name, value in TRIP.items()}
    expected |= {"access_a_ride_flag": None, "cbd_congestion_fee": None, "sr_flag": None}
    assert row == expected | {"data_file_month": date(2021, 1, 1)}


def test_an_airport_fee_column_may_have_the_null_type(tmp_path: Path) -> None:
    published = table(new=False)
    at = published.schema.get_field_index("airport_fee")
    published = published.set_column(at, "airport_fee", pa.nulls(1))
    path = write_parquet(tmp_path / "fhvhv_tripdata_2019-02.parquet", published)

    kept = collect(clean_trips(path, TripMonth.from_key("fhvhv|2021-01"))).kept

    assert kept["airport_fee"].to_pylist() == [None]


def test_the_congestion_zone_charge_exists_since_2025(tmp_path: Path) -> None:
    published = table(new=True, cbd_congestion_fee=[1.5])
    path = write_parquet(tmp_path / "fhvhv_tripdata_2021-01.parquet", published)

    assert collect(clean_trips(path)).kept["cbd_congestion_fee"].to_pylist() == [1.5]


def test_the_early_csvs_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "fhvhv_tripdata_2019-02.csv"
    path.write_text(
        f"{CSV_2019}\n"
        "HV0003,B02867,2019-02-01 00:05:18,2019-02-01 00:14:57,245,251,\n"
        "HV0005,B02510,2019-02-01 00:41:29,2019-02-01 00:49:39,216,197,1\n"
    )

    kept = collect(clean_trips(path)).kept

    assert kept["hvfhs_license_num"].to_pylist() == ["HV0003", "HV0005"]
    assert kept["sr_flag"].to_pylist() == [None, 1]
    assert kept["trip_miles"].to_pylist() == [None, None]


def test_trips_of_more_than_nine_hours_keep_their_seconds(tmp_path: Path) -> None:
    assert trip_schema("fhvhv").field("trip_time").type == pa.int32()
    published = table(new=True, trip_time=[52_100, 40_000])
    path = write_parquet(tmp_path / "fhvhv_tripdata_2021-01.parquet", published)

    cleaned = collect(clean_trips(path))

    assert cleaned.kept["trip_time"].to_pylist() == [52_100, 40_000]
    assert cleaned.summary.statistics.maximum["trip_time"] == 52_100


def test_fhvhv_rows_are_rejected_by_the_common_rules_only(tmp_path: Path) -> None:
    pickup, dropoff = TRIP["pickup_datetime"], TRIP["dropoff_datetime"]
    published = table(
        new=True,
        pickup_datetime=[pickup, None, local("2020-12-01"), dropoff, pickup],
        dropoff_datetime=[dropoff, dropoff, dropoff, pickup, dropoff],
        trip_miles=[9.2, 9.2, 9.2, 9.2, math.inf],
    )
    path = write_parquet(tmp_path / "fhvhv_tripdata_2021-01.parquet", published)

    cleaned = collect(clean_trips(path, options=LENIENT))

    assert cleaned.kept.num_rows == 1
    assert cleaned.reasons() == [
        ["no_pickup_time"],
        ["pickup_outside_month"],
        ["dropoff_before_pickup"],
        ["unparseable"],
    ]
    assert cleaned.summary.cents_rejected["base_passenger_fare"] == 4 * 2711


def test_passenger_options_are_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "fhvhv_tripdata_2021-01.parquet", table(new=True))

    with pytest.raises(ValueError, match="fhvhv trips have no rule named passengers_aboard; use"):
        clean_trips(path, options=CleaningOptions(rules=("passengers_aboard",)))
    with pytest.raises(ValueError, match="but fhvhv trips have no passenger count"):
        clean_trips(path, options=CleaningOptions(missing_passenger_count="keep"))


MONTHS = [TripMonth.from_key(f"fhvhv|{m}") for m in ("2019-02", "2021-05", "2024-01", "2025-01")]
EVERY_MONTH = pytest.mark.parametrize("month", MONTHS, ids=str)


@EVERY_MONTH
def test_a_synthetic_month_has_the_published_schema_and_bad_rows(
    month: TripMonth, landing: LandingZone, tmp_path: Path
) -> None:
    path = tmp_path / f"{month.stem}{publication_ending(month)}"
    write_synthetic_month(month, path, 60_000)
    names = pq.read_schema(path).names
    assert names == [*PARQUET, *(["cbd_congestion_fee"] if month == MONTHS[-1] else [])]

    trips = landing.write_cleaned(clean_trips(path, month))

    assert trips.rows_read == 60_000
    assert set(trips.rejected_by_reason) == {"dropoff_before_pickup", "pickup_outside_month"}
    assert all(expectation.judge(trips).holds for expectation in EXPECTATIONS)
    assert trips.total_cents is None
    assert "total_amount" not in trips.totals.cents
    kept = pq.read_table(trips.path)
    assert set(kept["hvfhs_license_num"].unique().to_pylist()) == (
        {"HV0002", "HV0003", "HV0004", "HV0005"}
        if month == MONTHS[0]
        else {"HV0003", "HV0004", "HV0005"}
        if month == MONTHS[1]
        else {"HV0003", "HV0005"}
    )
    lyft = pc.equal(kept["hvfhs_license_num"], "HV0005")
    assert pc.is_null(kept["on_scene_datetime"]).equals(lyft)
    assert pc.is_null(kept["originating_base_num"]).equals(lyft)
    assert kept["airport_fee"].null_count == (kept.num_rows if month == MONTHS[0] else 0)
    assert pc.min(kept["base_passenger_fare"]).as_py() < 0
    assert 0 < pc.mean(kept["trip_time"]).as_py() < 3600


def test_ubers_access_a_ride_flag_is_blank_until_2023() -> None:
    def flags(month: TripMonth) -> set[str]:
        chunk = next(synthetic_chunks(month, 5_000))
        uber = chunk.filter(pc.equal(chunk["hvfhs_license_num"], "HV0003"))
        return set(uber["access_a_ride_flag"].unique().to_pylist())

    assert flags(MONTHS[1]) == {" "}
    assert " " not in flags(MONTHS[2])


@EVERY_MONTH
def test_the_same_month_and_row_count_give_the_same_bytes(tmp_path: Path, month: TripMonth) -> None:
    for name in ("a", "b"):
        write_synthetic_month(month, tmp_path / name, 3_000)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@EVERY_MONTH
@pytest.mark.parametrize("rows", [0, 1, 999, CHUNK_ROWS + 7])
def test_the_row_count_is_exact(tmp_path: Path, month: TripMonth, rows: int) -> None:
    write_synthetic_month(month, tmp_path / "month", rows)

    assert pq.read_metadata(tmp_path / "month").num_rows == rows
    open_trip_file(tmp_path / "month").close()
