"""Every type, unit, zone and spelling that pyarrow, pandas, Spark and Excel write."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.trips.casting import cast_each
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.numbers import nearest_doubles
from taxi_platform.trips.reader import open_trip_file
from taxi_platform.trips.types import trip_type
from taxi_platform_tests.trips.dialects.months import (
    Rows,
    canonical_rows,
    picked,
    published_names,
    read,
    refusal,
)
from taxi_platform_tests.trips.published import local

COLOR = "green"
ROWS = canonical_rows(COLOR, 7, 40)
NAMES = published_names(trip_type(COLOR))
UTC = UTC
NEW_YORK = ZoneInfo("America/New_York")


def table(**columns: pa.Array) -> pa.Table:
    """The month as Parquet, with some canonical columns replaced."""
    arrays = {name: pa.array([row[name] for row in ROWS]) for name in ROWS[0]}
    return pa.table({NAMES[name]: array for name, array in {**arrays, **columns}.items()})


def written(path: Path, content: pa.Table, **how: Any) -> Path:
    pq.write_table(content, path / "green_tripdata_2024-01.parquet", **how)
    return path / "green_tripdata_2024-01.parquet"


def times(make: Callable[[datetime], datetime], type_: pa.DataType) -> dict[str, pa.Array]:
    return {
        name: pa.array([make(row[name]) for row in ROWS], type_)
        for name in ("pickup_datetime", "dropoff_datetime")
    }


def assert_equal(found: Rows) -> None:
    assert picked(found, ROWS) == ROWS


ZONES = ["America/New_York", "US/Eastern", "Europe/Berlin", "Asia/Kolkata", "+05:30", "-05:00"]
UNITS = ["ms", "us", "ns"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", ZONES)
def test_times_of_every_zone_and_unit_become_new_york_wall_time(
    tmp_path: Path, zone: str, unit: str
) -> None:
    columns = times(lambda t: t.replace(tzinfo=NEW_YORK), pa.timestamp(unit, zone))
    found, summary = read(written(tmp_path, table(**columns)), COLOR)
    assert_equal(found)
    assert summary.warnings == []


UTC_NAMES = ["UTC", "Etc/UTC", "GMT", "Etc/Zulu", "+00:00"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", UTC_NAMES)
def test_utc_is_read_as_utc_times_says_and_reported(tmp_path: Path, zone: str, unit: str) -> None:
    as_wall = times(lambda t: t.replace(tzinfo=UTC), pa.timestamp(unit, zone))
    found, summary = read(written(tmp_path, table(**as_wall)), COLOR)
    assert_equal(found)
    assert [w.partition(":")[0] for w in summary.warnings] == [
        "dropoff_datetime",
        "pickup_datetime",
    ]
    assert all(
        "40 times are labeled UTC and were read as New York wall" in w for w in summary.warnings
    )

    instants = times(lambda t: t.replace(tzinfo=NEW_YORK), pa.timestamp(unit, zone))
    found, summary = read(written(tmp_path, table(**instants)), COLOR, utc_times="convert")
    assert_equal(found)
    assert all("40 times labeled UTC were converted" in w for w in summary.warnings)


@pytest.mark.parametrize("choice", ["wall_time", "convert"])
def test_int96_is_read_as_utc_times_says_and_reported(tmp_path: Path, choice: Any) -> None:
    zone = UTC if choice == "wall_time" else NEW_YORK
    columns = times(
        lambda t: t.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None), pa.timestamp("us")
    )
    path = written(tmp_path, table(**columns), use_deprecated_int96_timestamps=True)
    found, summary = read(path, COLOR, utc_times=choice)
    assert_equal(found)
    assert len(summary.warnings) == 2
    assert all("40 times are INT96" in w for w in summary.warnings)


@pytest.mark.parametrize("write", ["pandas", "pandas with a zone"])
def test_parquet_written_by_pandas_is_read(tmp_path: Path, write: str) -> None:
    frame = pd.DataFrame([{NAMES[k]: v for k, v in row.items()} for row in ROWS])
    if write == "pandas with a zone":
        for name in ("pickup_datetime", "dropoff_datetime"):
            frame[NAMES[name]] = frame[NAMES[name]].dt.tz_localize("America/New_York")
    path = tmp_path / "green_tripdata_2024-01.parquet"
    frame.to_parquet(path)
    assert_equal(read(path, COLOR)[0])


SPELLED: dict[str, Callable[[datetime], str]] = {
    "ISO with T": lambda t: t.isoformat(),
    "milliseconds": lambda t: f"{t.isoformat()}.000",
    "nanoseconds": lambda t: f"{t}.000000999",
    "Spark": lambda t: t.replace(tzinfo=NEW_YORK).isoformat(timespec="milliseconds"),
    "pandas with a zone": lambda t: str(t.replace(tzinfo=NEW_YORK)),
    "an offset apart": lambda t: f"{t:%Y-%m-%d %H:%M:%S} -0500",
    "an offset of hours": lambda t: f"{t:%Y-%m-%d %H:%M:%S}-05",
    "Zulu": lambda t: f"{t.isoformat()}Z",
    "BigQuery": lambda t: f"{t} UTC",
    "UTC's offset": lambda t: f"{t}+00:00",
    "blanks around": lambda t: f" {t} ",
}
LABELED = ("Zulu", "BigQuery", "UTC's offset")


@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("file", ["parquet", "csv"])
def test_times_in_every_text_format_are_read(tmp_path: Path, file: str, spelling: str) -> None:
    columns = times(SPELLED[spelling], pa.string())  # type: ignore[arg-type]
    content = table(**columns)
    if file == "csv":
        path = tmp_path / "green_tripdata_2024-01.csv"
        content.to_pandas().astype(object).to_csv(path, index=False)
    else:
        path = written(tmp_path, content)
    found, summary = read(path, COLOR)
    assert_equal(found)
    reported = [w for w in summary.warnings if "labeled UTC" in w]
    assert len(reported) == (2 if spelling in LABELED else 0)


def test_times_with_and_without_a_zone_may_be_mixed(tmp_path: Path) -> None:
    spellings: list[Callable[[datetime], str]] = [
        str,
        SPELLED["Spark"],
        SPELLED["Zulu"],
        SPELLED["nanoseconds"],
    ]
    columns = {
        name: pa.array([spellings[n % 4](row[name]) for n, row in enumerate(ROWS)])
        for name in ("pickup_datetime", "dropoff_datetime")
    }
    found, summary = read(written(tmp_path, table(**columns)), COLOR)
    assert_equal(found)
    assert all("10 times are labeled UTC" in w for w in summary.warnings)


CENTS = [Decimal(row["fare_amount"] * 100).to_integral_value() for row in ROWS]


@pytest.mark.parametrize(
    "type_",
    [
        *(pa.decimal128(precision, scale) for precision, scale in [(10, 2), (38, 9), (18, 4)]),
        *(pa.decimal256(precision, scale) for precision, scale in [(40, 2), (76, 38)]),
        pa.decimal128(38, 30),
        pa.float32(),
        pa.float64(),
        pa.string(),
        pa.large_string(),
    ],
    ids=str,
)
@pytest.mark.parametrize("nulls", [False, True], ids=["", "nulls"])
def test_an_amount_is_the_double_nearest_to_its_decimal(
    tmp_path: Path, type_: pa.DataType, nulls: bool
) -> None:
    amounts: list[Any] = [cents / 100 for cents in CENTS]
    if nulls:
        amounts[::7] = [None] * len(amounts[::7])
    expected = [None if a is None else float(str(a)) for a in amounts]
    values: list[Any]
    if pa.types.is_floating(type_):
        values = [None if a is None else float(a) for a in amounts]
    elif pa.types.is_decimal(type_):
        values = amounts
    else:
        values = [None if a is None else str(a) for a in amounts]
    column = pa.array(values, type_)
    found, _ = read(written(tmp_path, table(extra=column)), COLOR)
    assert [row["extra"] for row in found] == expected


@pytest.mark.parametrize("cents", [870, 1, -870, 10**15 - 1, 2**53 + 1, -(2**60) - 1])
def test_a_decimal_of_any_size_becomes_the_nearest_double(cents: int) -> None:
    for scale in (0, 2, 9, 22, 23):
        value = Decimal(cents).scaleb(-scale)
        array = pa.array([value, None, value], pa.decimal128(38, scale))
        assert nearest_doubles(array).to_pylist() == [float(value), None, float(value)]
        assert nearest_doubles(array[2:]).to_pylist() == [float(value)]


def test_16_bit_floats_are_refused(tmp_path: Path) -> None:
    halves = pa.array(np.array([row["fare_amount"] for row in ROWS], np.float16))
    assert "fare_amt contains 16-bit floats" in refusal(
        written(tmp_path, table(fare_amount=halves)), COLOR
    )


CODES = [
    *(pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()),
    *(pa.decimal128(38, 9), pa.string(), pa.large_string(), pa.string_view()),
]


@pytest.mark.parametrize("type_", CODES, ids=str)
def test_a_code_is_read_from_every_type(tmp_path: Path, type_: pa.DataType) -> None:
    columns = {}
    for name in ("passenger_count", "payment_type", "trip_type"):
        texts = pa.array([None if row[name] is None else str(row[name]) for row in ROWS])
        columns[name] = (
            texts.cast(pa.int64()).cast(type_) if "view" not in str(type_) else texts.cast(type_)
        )
    assert_equal(read(written(tmp_path, table(**columns)), COLOR)[0])


FLAGS: dict[str, dict[Any, Any]] = {
    "lower case": {"N": "n", "Y": "y", None: None},
    "blanks": {"N": " N", "Y": "Y  ", None: " "},
    "words": {"N": "false", "Y": "true", None: "None"},
    "capital words": {"N": "FALSE", "Y": "TRUE", None: "NULL"},
    "letters": {"N": "f", "Y": "t", None: "\\N"},
    "yes and no": {"N": "No", "Y": "Yes", None: "<NA>"},
    "numbers": {"N": "0", "Y": "1", None: "nan"},
    "floats": {"N": "0.0", "Y": "1.0", None: "#N/A"},
    "truth values": {"N": False, "Y": True, None: None},
    "integers": {"N": 0, "Y": 1, None: None},
    "doubles": {"N": 0.0, "Y": 1.0, None: math.nan},
    "bytes": {"N": b"N", "Y": b"y", None: b""},
}


@pytest.mark.parametrize("spelling", FLAGS)
@pytest.mark.parametrize("dictionary", [False, True], ids=["plain", "dictionary"])
def test_a_flag_in_every_spelling_becomes_a_letter_or_null(
    tmp_path: Path, spelling: str, dictionary: bool
) -> None:
    flags = pa.array(
        [FLAGS[spelling][row["store_and_fwd_flag"]] for row in ROWS], from_pandas=False
    )
    if dictionary:
        flags = flags.dictionary_encode()
    found, summary = read(written(tmp_path, table(store_and_fwd_flag=flags)), COLOR)
    assert_equal(found)
    reported = spelling in (
        *("lower case", "blanks", "words", "capital words", "letters", "yes and no"),
        *("truth values", "bytes"),
    )
    assert bool(summary.warnings) == reported
    assert not reported or "values in another spelling" in summary.warnings[0]


@pytest.mark.parametrize("type_", [pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_an_unknown_text_is_reported_and_rejected_unless_the_rule_is_off(
    tmp_path: Path, type_: pa.DataType
) -> None:
    flags = [row["store_and_fwd_flag"] for row in ROWS]
    flags[3], flags[9] = " x", "Maybe"
    path = written(tmp_path, table(store_and_fwd_flag=pa.array(flags).cast(type_)))
    found, summary = read(path, COLOR)
    assert len(found) == 38
    assert summary.rejected_by_reason == {"unknown_text": 2}
    assert summary.warnings == ["store_and_fwd_flag: 2 unknown values, the first ' x'"]
    kept, _ = read(path, COLOR, rules=("pickup_time_present",))
    assert [row["store_and_fwd_flag"] for row in kept] == [*flags[:3], "x", *flags[4:]]


NUMBERS = {
    "seconds": (1, "as seconds since 1970"),
    "milliseconds": (10**3, "as milliseconds since 1970"),
    "microseconds": (10**6, "as microseconds since 1970"),
    "nanoseconds": (10**9, "as nanoseconds since 1970"),
}


@pytest.mark.parametrize("unit", NUMBERS)
@pytest.mark.parametrize("type_", [pa.int64(), pa.decimal128(20, 0), pa.string()], ids=str)
def test_numbers_in_time_columns_are_refused_with_the_unit_that_fits(
    tmp_path: Path, unit: str, type_: pa.DataType
) -> None:
    factor, said = NUMBERS[unit]
    columns = {
        name: pa.array(
            [int((row[name] - local("1970-01-01")).total_seconds()) * factor for row in ROWS]
        ).cast(type_)
        for name in ("pickup_datetime", "dropoff_datetime")
    }
    message = refusal(written(tmp_path, table(**columns)), COLOR)
    assert "lpep_pickup_datetime" in message
    assert f"{said} it would be {ROWS[0]['pickup_datetime']}" in message


def test_excels_days_and_dates_without_a_time_are_refused(tmp_path: Path) -> None:
    days = [(row["pickup_datetime"] - local("1899-12-30")) / timedelta(days=1) for row in ROWS]
    message = refusal(written(tmp_path, table(pickup_datetime=pa.array(days))), COLOR)
    assert "as Excel's days since 1900 it would be 2024-01-01 00:0" in message
    dates = pa.array([row["dropoff_datetime"].date() for row in ROWS])
    message = refusal(written(tmp_path, table(dropoff_datetime=dates)), COLOR)
    assert "lpep_dropoff_datetime contains dates without a time of day (date32[day])" in message


def test_a_boolean_is_not_a_number(tmp_path: Path) -> None:
    path = written(tmp_path, table(trip_type=pa.array([True] * len(ROWS))))
    with pytest.raises(TripFileError, match="trip_type has 'True', expected a whole number"):
        read(path, COLOR, max_rejected_share=0.05)


@pytest.mark.parametrize("column", ["fare_amount", "dropoff_datetime", "trip_distance"])
def test_a_null_in_a_never_null_column_rejects_its_row(tmp_path: Path, column: str) -> None:
    values = [None if n == 5 else row[column] for n, row in enumerate(ROWS)]
    found, summary = read(written(tmp_path, table(**{column: pa.array(values)})), COLOR)
    assert summary.rejected_by_reason == {"missing_value": 1}
    assert picked(found, ROWS) == [*ROWS[:5], *ROWS[6:]]


@pytest.mark.parametrize("type_", [pa.int64(), pa.float64(), pa.date32()], ids=str)
def test_a_file_with_numbers_as_times_does_not_replace_the_loaded_one(
    tmp_path: Path, type_: pa.DataType
) -> None:
    numbers = pa.array([19_723] * len(ROWS), pa.int32()).cast(type_)
    with pytest.raises(TripFileError, match="instead of times: the first is"):
        open_trip_file(written(tmp_path, table(pickup_datetime=numbers)), COLOR)


@pytest.mark.parametrize("type_", [pa.int64(), pa.date32()], ids=str)
def test_a_number_is_not_a_time_and_a_null_is_missing(type_: pa.DataType) -> None:
    column = next(c for c in trip_type(COLOR).columns if c.name == "pickup_datetime")
    values, bad = cast_each(pa.array([1, None], pa.int32()).cast(type_), column)
    assert (values.to_pylist(), bad.to_pylist()) == ([None, None], [True, False])
