"""Files found in practice, compared with the results of another reader."""

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.errors import TripFileError
from taxi_platform_tests.trips.published import Cleaned, collect

pytestmark = pytest.mark.real_data

AMOUNTS = ["trip_distance", "fare_amount", "tip_amount", "total_amount"]


def case(real_data: Path, name: str, file: str = "*") -> Path:
    return next(iter(sorted((real_data / "cases" / name).glob(file))))


def load(path: Path) -> Cleaned:
    return collect(clean_trips(path, options=CleaningOptions()))


def refused(path: Path) -> str:
    with pytest.raises(TripFileError) as error:
        load(path)
    return str(error.value)


def by_duckdb(expression: str, path: Path, order: str = "") -> list[Any]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'America/New_York'")
        rows = connection.execute(
            f"select {expression} from read_parquet($path) {order}", {"path": str(path)}
        ).fetchall()
    return [row[0] for row in rows]


def by_csv(text: str, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_a_named_zone_is_converted_to_new_york_wall_time(real_data: Path) -> None:
    path = case(real_data, "tz_newyork")
    kept = load(path).kept
    for name in ("pickup_datetime", "dropoff_datetime"):
        assert kept[name].to_pylist() == by_duckdb(f"lpep_{name}::timestamp", path)
    assert str(kept["pickup_datetime"][0]) == "2024-01-01 00:05:00"


def test_a_decimal_becomes_the_nearest_double(real_data: Path) -> None:
    path = case(real_data, "decimal2")
    kept = load(path).kept
    for name in AMOUNTS:
        expected = [float(text) for text in by_duckdb(f"{name}::varchar", path)]
        assert kept[name].to_pylist() == expected
    assert 8.7 in kept["fare_amount"].to_pylist()


@pytest.mark.parametrize("name", ["flag_lower", "flag_hive_null"])
def test_flags_are_y_n_or_null(real_data: Path, name: str) -> None:
    path = case(real_data, name)
    expected = by_duckdb("nullif(upper(trim(store_and_fwd_flag)), '\\N')", path)
    assert load(path).kept["store_and_fwd_flag"].to_pylist() == expected
    assert set(expected) <= {"Y", "N", None}


def test_a_missing_column_fails_the_month_and_suggests_the_nearest_name(real_data: Path) -> None:
    message = refused(case(real_data, "renamed_DropoffLocationID"))
    assert "no column for dropoff_location_id (is it 'DropoffLocationID'?)" in message


def test_quotes_are_removed_even_if_the_header_has_none(real_data: Path) -> None:
    path = case(real_data, "pg_force_flag")
    flags = by_csv(path.read_text(), "store_and_fwd_flag")
    assert load(path).kept["store_and_fwd_flag"].to_pylist() == [flag or None for flag in flags]


def test_a_page_with_a_wrong_checksum_is_refused(real_data: Path) -> None:
    assert "CRC checksum verification failed" in refused(case(real_data, "crc_flip"))


def test_times_outside_the_range_of_nanoseconds_do_not_overflow(real_data: Path) -> None:
    path = case(real_data, "int96_far")
    cleaned = load(path)
    expected = by_duckdb("lpep_dropoff_datetime::timestamp::varchar", path)
    found = [
        str(time)
        for table in (cleaned.kept, cleaned.rejected)
        for time in table["dropoff_datetime"].to_pylist()
    ]
    assert sorted(found) == sorted(expected)
    assert cleaned.reasons() == [["dropoff_before_pickup"]]


def test_finer_times_are_truncated_to_microseconds(real_data: Path) -> None:
    path = case(real_data, "ns_sub_us")
    nanoseconds = by_duckdb("epoch_ns(lpep_pickup_datetime)", path)
    kept = load(path).kept["pickup_datetime"].cast("int64").to_pylist()
    assert kept == [n // 1_000 for n in nanoseconds]


def test_filled_fields_beyond_the_header_are_reported(real_data: Path) -> None:
    cleaned = clean_trips(case(real_data, "wide_short_header"))
    assert cleaned.columns.unknown == cleaned.columns.surplus == ("field 20",)
    collect(cleaned)
    assert any(
        w.startswith("field 20 has no name in the header and was not read: 60 rows")
        for w in cleaned.summary.warnings
    )
    assert any("no column for ehail_fee, trip_type" in w for w in cleaned.summary.warnings)


def test_an_empty_field_at_the_end_of_each_row_is_not_reported(real_data: Path) -> None:
    cleaned = load(case(real_data, "csv_trailing_comma_rows"))
    assert cleaned.summary.warnings == []
    assert cleaned.summary.rows_kept == 60


def test_duplicate_rows_are_counted(real_data: Path) -> None:
    cleaned = load(case(real_data, "csv_cat_twice_header"))
    assert cleaned.summary.duplicate_rows == 60
    assert any(w.startswith("60 of 120 rows duplicate") for w in cleaned.summary.warnings)


def test_a_null_in_a_never_null_column_rejects_only_its_row(real_data: Path) -> None:
    cleaned = load(case(real_data, "null_trip_distance"))
    assert cleaned.reasons() == [["missing_value"]]
    assert cleaned.summary.rows_kept == 59


def test_trips_in_the_repeated_hour_are_kept(real_data: Path) -> None:
    path = case(real_data, "dst_autumn")
    assert by_duckdb("count(*) filter (tpep_dropoff_datetime < tpep_pickup_datetime)", path) == [3]
    assert load(path).summary.rows_kept == 60


MESSAGES = {
    "text_us_ampm": "lpep_pickup_datetime has '01/01/2024 12:05:00 AM' (a time with slashes",
    "epoch_ms": "as milliseconds since 1970 it would be 2024-01-01 00:05:00",
    "csv_cr_only": "lines end in a carriage return alone",
    "zip": "is a zip archive",
}


@pytest.mark.parametrize(("name", "said"), MESSAGES.items())
def test_a_refusal_identifies_the_file(real_data: Path, name: str, said: str) -> None:
    message = refused(case(real_data, name))
    assert said in message
    assert "switch the rule off" not in message
    assert "max_rejected_share" not in message


def test_utf_16_with_a_byte_order_mark_is_read(real_data: Path) -> None:
    path = case(real_data, "csv_utf16")
    expected = [float(t) for t in by_csv(path.read_text("utf-16"), "total_amount")]
    assert load(path).kept["total_amount"].to_pylist() == expected


@pytest.mark.parametrize("file", ["*.parquet", "*.gz"])
def test_gzipped_parquet_is_read(real_data: Path, file: str) -> None:
    plain = load(case(real_data, "flag_lower")).kept.drop_columns("store_and_fwd_flag")
    packed = load(case(real_data, "parquet_gz", file)).kept.drop_columns("store_and_fwd_flag")
    assert packed.num_rows == plain.num_rows == 60


def test_the_archive_contains_the_published_file(real_data: Path) -> None:
    with zipfile.ZipFile(case(real_data, "zip")) as archive:
        assert archive.namelist() == ["green_tripdata_2024-01.csv"]
