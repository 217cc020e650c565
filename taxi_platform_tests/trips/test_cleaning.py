from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.blocks import reject_schema
from taxi_platform.trips.cleaning import (
    CleanedTrips,
    CleaningOptions,
    CleaningSummary,
    clean_trips,
)
from taxi_platform.trips.errors import TooManyRejectedError, TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.parquet_reader import ParquetTripReader
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.trips.published import (
    GREEN,
    HEADER,
    LENIENT,
    Cleaned,
    bounded,
    clean_csv,
    collect,
    data_lines,
    green_table,
    numbered,
    trip,
    write_bytes,
    write_csv,
    write_parquet,
)

BLOCK_SIZES = pytest.mark.parametrize("block_bytes", [1, 200, 1000, 1 << 20])

DIRTY = {
    "no pickup time": (trip(lpep_pickup_datetime=""), ["no_pickup_time"]),
    "a reset clock": (
        trip(lpep_pickup_datetime="2008-12-31 23:02:03"),
        ["pickup_outside_month"],
    ),
    "a dropoff before the pickup": (
        trip(lpep_dropoff_datetime="2020-01-15 18:01:01"),
        ["dropoff_before_pickup"],
    ),
    "zero passengers": (trip(passenger_count="0"), ["zero_passengers"]),
    "several reasons": (
        trip(
            passenger_count="0",
            lpep_pickup_datetime="2020-03-01 00:00:00",
        ),
        ["pickup_outside_month", "dropoff_before_pickup", "zero_passengers"],
    ),
    "unparseable, and zero passengers": (
        trip(passenger_count="0", total_amount="x"),
        ["unparseable"],
    ),
}


@BLOCK_SIZES
@pytest.mark.parametrize(("row", "reasons"), DIRTY.values(), ids=DIRTY)
def test_a_rejected_row_lists_all_reasons_and_counts_under_the_first(
    tmp_path: Path, row: str, reasons: list[str], block_bytes: int
) -> None:
    rows = numbered(10)
    path = write_csv(tmp_path / "g.csv", [*rows[:6], row, *rows[6:]])

    cleaned = clean_csv(path, block_bytes)

    assert cleaned.reasons() == [reasons]
    assert cleaned.summary.rejected_by_reason == Counter([reasons[0]])
    assert cleaned.rejected["line_number"].to_pylist() == [8]
    assert cleaned.rejected["raw_text"].to_pylist() == [row]
    assert cleaned.kept["trip_distance"].to_pylist() == [float(n) for n in range(10)]


def test_kept_and_rejected_rows_have_their_schemas_and_the_file_month(tmp_path: Path) -> None:
    cleaned = clean_csv(write_csv(tmp_path / "g.csv", [trip(), trip(passenger_count="0")]))

    assert cleaned.kept.schema.equals(trip_schema("green"), check_metadata=True)
    assert cleaned.rejected.schema.equals(reject_schema("green"), check_metadata=True)
    for table in (cleaned.kept, cleaned.rejected):
        assert table["data_file_month"].to_pylist() == [date(2020, 1, 1)]


def test_a_trip_outside_the_month_has_its_files_month(tmp_path: Path) -> None:
    stray = trip(
        lpep_pickup_datetime="2019-12-31 23:50:00", lpep_dropoff_datetime="2020-01-01 00:05:00"
    )

    cleaned = clean_csv(write_csv(tmp_path / "g.csv", [stray]))

    assert cleaned.kept["data_file_month"].to_pylist() == [date(2020, 1, 1)]


@pytest.mark.parametrize(
    ("pickup", "kept"),
    [
        ("2019-12-25 00:00:00", True),
        ("2019-12-24 23:59:59.999999", False),
        ("2020-02-07 23:59:59.999999", True),
        ("2020-02-08 00:00:00", False),
    ],
)
def test_pickups_up_to_a_week_outside_the_month_are_kept(
    tmp_path: Path, pickup: str, kept: bool
) -> None:
    row = trip(lpep_pickup_datetime=pickup, lpep_dropoff_datetime=pickup)

    cleaned = clean_csv(write_csv(tmp_path / "g.csv", [row]))

    assert cleaned.kept.num_rows == int(kept)
    assert cleaned.reasons() == ([] if kept else [["pickup_outside_month"]])


@BLOCK_SIZES
@pytest.mark.parametrize(("choice", "expected"), [("zero", 0), ("keep", None)])
def test_a_missing_passenger_count_is_kept_and_zero_is_rejected(
    tmp_path: Path, choice: Any, expected: int | None, block_bytes: int
) -> None:
    counts = ["1", "", "0", "NULL", "2"]
    path = write_csv(tmp_path / "g.csv", [trip(passenger_count=count) for count in counts])

    cleaned = clean_csv(path, block_bytes, replace(LENIENT, missing_passenger_count=choice))

    assert cleaned.kept["passenger_count"].to_pylist() == [1, expected, expected, 2]
    assert cleaned.rejected["raw_text"].to_pylist() == [trip(passenger_count="0")]


def test_a_missing_count_is_not_filled_in_a_rejected_row(tmp_path: Path) -> None:
    row = trip(passenger_count="", lpep_pickup_datetime="")

    cleaned = clean_csv(write_csv(tmp_path / "g.csv", [row]))

    assert cleaned.rejected["passenger_count"].to_pylist() == [None]


def test_unparseable_rows_are_rejected_even_if_rules_are_switched_off(
    tmp_path: Path,
) -> None:
    path = write_csv(tmp_path / "g.csv", [row for row, _ in DIRTY.values()])

    cleaned = clean_csv(path, options=replace(LENIENT, rules=()))

    assert cleaned.kept.num_rows == 5
    assert cleaned.reasons() == [["unparseable"]]
    aboard = clean_csv(path, options=replace(LENIENT, rules=("passengers_aboard",)))
    assert aboard.reasons() == [["zero_passengers"], ["zero_passengers"], ["unparseable"]]


def test_reversals_and_the_null_block_are_kept(tmp_path: Path) -> None:
    nulls = ["VendorID", "store_and_fwd_flag", "RatecodeID", "passenger_count", "payment_type"]
    rows = [
        trip(),
        trip(fare_amount="-9.5", total_amount="-12.9", payment_type="4"),
        trip(**dict.fromkeys([*nulls, "congestion_surcharge"], "")),
        trip(),
    ]

    cleaned = clean_csv(write_csv(tmp_path / "g.csv", rows))

    assert cleaned.kept.num_rows == 4
    assert cleaned.summary.statistics.cents["total_amount"] == 2 * 1290


def test_rejected_rows_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    bad, zero = trip(total_amount="x"), trip(passenger_count="0")

    cleaned = clean_csv(write_csv(tmp_path / "g.csv", [zero, bad, trip(), zero, bad]))

    assert cleaned.rejected["line_number"].to_pylist() == [2, 3, 5, 6]
    assert cleaned.rejected["raw_text"].to_pylist() == [zero, bad, zero, bad]


def test_a_rejected_parquet_row_has_its_number_and_each_value_once(tmp_path: Path) -> None:
    table = green_table(3, passenger_count=[0.0, 1.0, 1.5])
    path = write_parquet(tmp_path / "green_tripdata_2020-01.parquet", table)

    cleaned = collect(clean_trips(path, options=LENIENT))

    assert cleaned.rejected["line_number"].to_pylist() == [1, 3]
    assert cleaned.reasons() == [["zero_passengers"], ["unparseable"]]
    by_rule, unparseable = cleaned.rejected["raw_text"].to_pylist()
    assert by_rule is None
    assert '"passenger_count": 1.5' in unparseable


@pytest.mark.parametrize(("rejected", "refused"), [(5, False), (6, True)])
def test_a_file_is_refused_above_the_allowed_share_but_not_at_it(
    tmp_path: Path, rejected: int, refused: bool
) -> None:
    rows = [trip(passenger_count="0")] * rejected + [trip()] * (100 - rejected)
    trips = clean_trips(write_csv(tmp_path / "green_tripdata_2020-01.csv", rows))

    if not refused:
        assert sum(batch.kept.num_rows for batch in trips) == 95
        return
    with pytest.raises(TooManyRejectedError) as error:
        list(trips)
    assert str(error.value) == (
        "green_tripdata_2020-01.csv: 6 of 100 rows (6.0%) would be rejected, more than the 5.0% "
        "allowed: zero_passengers 6. If the file is right, raise max_rejected_share or switch the "
        "rule off"
    )
    assert trips.summary.rows_rejected == 6
    assert trips.summary.rows_kept == 94


def test_a_file_of_another_month_is_never_told_to_raise_the_limit(tmp_path: Path) -> None:
    """Nor if its pickups are so near the month that they break another rule only."""
    days = {
        "lpep_pickup_datetime": "2020-02-03 10:00:00",
        "lpep_dropoff_datetime": "2020-02-03 10:05:00",
    }
    rows = [trip(passenger_count="0", **days)] * 20 + [trip(**days)] * 80
    trips = clean_trips(write_csv(tmp_path / "green_tripdata_2020-01.csv", rows))

    with pytest.raises(TooManyRejectedError) as error:
        list(trips)
    assert str(error.value).endswith(
        "zero_passengers 20. 20 of these pickups are in 2020-02: check whether the file is of "
        "another month than green|2020-01, or its clocks are wrong"
    )


def test_a_refusal_lists_the_reasons_most_common_first(tmp_path: Path) -> None:
    rows = [trip(total_amount="x")] + [trip(passenger_count="0")] * 2

    with pytest.raises(
        TooManyRejectedError, match=r": zero_passengers 2, unparseable 1\. The first is line 2"
    ):
        clean_csv(write_csv(tmp_path / "g.csv", rows), options=CleaningOptions())


def test_a_zero_share_allows_no_rejected_row(tmp_path: Path) -> None:
    strict = CleaningOptions(max_rejected_share=0.0)

    assert clean_csv(write_csv(tmp_path / "a.csv", [trip()]), options=strict).kept.num_rows == 1
    path = write_csv(tmp_path / "b.csv", [*numbered(500), trip(passenger_count="0")])
    with pytest.raises(TooManyRejectedError):
        clean_csv(path, options=strict)


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n", HEADER + "\r\n\r\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    path = write_bytes(tmp_path / "green_tripdata_2020-01.csv", content.encode())

    with pytest.raises(TripFileError, match=r"^green_tripdata_2020-01.csv has a header but no row"):
        list(clean_trips(path))


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2020-01.parquet"

    with pytest.raises(TripFileError, match="has a header but no rows"):
        list(clean_trips(write_parquet(path, green_table().slice(0, 0))))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rules": ("tips",)}, "no rule named tips"),
        ({"days_outside_month": -1}, "days_outside_month must be between 0 and 36500"),
        ({"days_outside_month": 36_501}, "leave out the rule pickup_near_month"),
        ({"max_rejected_share": -0.01}, "max_rejected_share must be between 0 and 1"),
        ({"max_rejected_share": 1.01}, "max_rejected_share must be between 0 and 1"),
        ({"max_rejected_share": float("nan")}, "max_rejected_share must be between 0 and 1"),
        ({"missing_passenger_count": "drop"}, "must be 'zero' or 'keep'"),
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CleaningOptions(**values)


def test_options_at_the_limits_of_their_range_are_accepted(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "g.csv", [trip()])
    for days, share in ((0, 1.0), (36_500, 0.0)):
        options = CleaningOptions(days_outside_month=days, max_rejected_share=share)
        assert clean_csv(path, options=options).kept.num_rows == 1


def test_color_and_month_are_detected_unless_given(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "green_tripdata_2020-01.csv", [trip()])
    unnamed = write_csv(tmp_path / "trips.csv", [trip()])
    given = TripMonth("green", date(2020, 2, 1))

    assert collect(clean_trips(path)).kept["data_file_month"].to_pylist() == [date(2020, 1, 1)]
    assert collect(clean_trips(unnamed)).kept["data_file_month"].to_pylist() == [date(2020, 1, 1)]
    trips = clean_trips(path, given, LENIENT, source_sha256="ab12")
    assert (trips.month, trips.source_sha256) == (given, "ab12")
    assert collect(trips).reasons() == [["pickup_outside_month"]]


def test_the_wrong_color_is_refused_before_any_row_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "green_tripdata_2020-01.csv", [trip()])

    with pytest.raises(TripFileError, match="is a green trip file, expected a yellow one"):
        clean_trips(path, TripMonth("yellow", date(2020, 1, 1)))


def test_an_empty_summary_has_no_share_and_no_reasons() -> None:
    summary = CleaningSummary()

    assert summary.rejected_share == 0.0
    assert summary.describe_rejected() == "none"


def total_cents(summary: CleaningSummary) -> int:
    """Sum of all amounts, of kept and rejected rows."""
    return summary.statistics.cents["total_amount"] + summary.cents_rejected["total_amount"]


REAL_MONTHS = ["2022-01", "2023-01", "2023-02", "2024-01"]


@pytest.mark.real_data
@pytest.mark.parametrize("month", REAL_MONTHS)
def test_real_months_have_the_rows_and_cents_that_duckdb_counts(
    real_data: Path, month: str
) -> None:
    path = real_data / "tlc_months" / f"green_tripdata_{month}.parquet"
    first = date.fromisoformat(f"{month}-01")

    summary = collect(clean_trips(path)).summary

    with duckdb.connect() as connection:
        rows, cents, zero, late, stray = (
            connection.execute(
                """
            select count(*), sum(cast(round(total_amount * 100) as bigint)),
                count(*) filter (passenger_count = 0),
                count(*) filter (lpep_dropoff_datetime < lpep_pickup_datetime),
                count(*) filter (lpep_pickup_datetime < $first - interval 7 day
                    or lpep_pickup_datetime >= $first + interval 1 month + interval 7 day)
            from read_parquet($path)
            """,
                {"path": str(path), "first": first},
            ).fetchone()
            or (None,) * 5
        )
    assert summary.rows_read == rows == summary.rows_kept + summary.rows_rejected
    assert total_cents(summary) == cents
    assert summary.rejected_by_reason["pickup_outside_month"] == stray
    assert summary.rejected_by_reason["zero_passengers"] <= zero
    assert summary.rows_rejected <= zero + late + stray
    assert 0 < summary.rows_rejected < rows * 0.05


@pytest.mark.real_data
def test_a_real_csv_with_extra_fields_has_the_totals_that_duckdb_counts(real_data: Path) -> None:
    path = real_data / "tlc_months" / "green_tripdata_2013-08.csv"

    cleaned = collect(clean_trips(path))

    with duckdb.connect() as connection:
        rows, cents = connection.execute(
            """
            select count(*), sum(cast(round(cast(column17 as double) * 100) as bigint))
            from read_csv($path, header = false, skip = 2, all_varchar = true, delim = ',')
            """,
            {"path": str(path)},
        ).fetchone() or (None, None)
    assert cleaned.summary.rows_read == rows == 7_623
    assert total_cents(cleaned.summary) == cents
    assert cleaned.kept["pickup_longitude"].null_count == 0


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    ["yellow_tripdata_sample_2018-06.csv", "yellow_tripdata_2015-01.csv"],
)
def test_real_rows_do_not_depend_on_the_block_size(real_data: Path, name: str) -> None:
    path = real_data / "tlc_samples" / name
    whole = clean_trips(path, options=LENIENT)
    month, expected = whole.month, collect(whole)

    for block_bytes in (5_000, 100_000):
        assert_same(clean_csv(path, block_bytes, LENIENT, month), expected)


def assert_same(found: Cleaned, expected: Cleaned) -> None:
    assert found.summary == expected.summary
    assert found.kept.equals(expected.kept)
    assert found.rejected.equals(expected.rejected)


ROWS = st.sampled_from(
    [
        *numbered(3),
        *(row for row, _ in DIRTY.values()),
        trip(passenger_count=""),
        trip(passenger_count="2.0"),
        trip(passenger_count="2.5"),
        trip(total_amount="-1.005"),
        trip(total_amount=""),
        trip(total_amount="inf"),
        trip() + ",",
        "\0" * 40,
        "",
        "Total",
        "\ufeff" + trip(),
        trip(store_and_fwd_flag="\ufffd"),
        trip(store_and_fwd_flag='"'),
        trip(VendorID="\r"),
    ]
)


@pytest.mark.slow
@bounded
@given(
    rows=st.lists(ROWS, min_size=1, max_size=40),
    newline=st.sampled_from([b"\n", b"\r\n"]),
    wide=st.booleans(),
    block_bytes=st.integers(1, 5000),
)
def test_csv_rows_are_conserved_whatever_the_block_size(
    tmp_path: Path, rows: list[str], newline: bytes, wide: bool, block_bytes: int
) -> None:
    if wide:
        rows = [row + ",," for row in rows]
    path = write_csv(tmp_path / "g.csv", [trip() + ",," * wide, *rows], newline=newline)
    lines = dict(data_lines(path.read_bytes()))

    whole = clean_csv(path)

    summary = whole.summary
    assert summary.rows_read == len(lines) == summary.rows_kept + summary.rows_rejected
    assert whole.kept.num_rows == summary.rows_kept
    assert whole.rejected.num_rows == summary.rows_rejected
    assert Counter(reasons[0] for reasons in whole.reasons()) == summary.rejected_by_reason
    numbers = whole.rejected["line_number"].to_pylist()
    assert whole.rejected["raw_text"].to_pylist() == [lines[number] for number in numbers]
    assert numbers == sorted(set(numbers))
    assert_same(clean_csv(path, block_bytes), whole)


@pytest.mark.slow
@bounded
@given(
    counts=st.lists(st.sampled_from([0.0, 1.0, None, 1.5, 1e9]), min_size=1, max_size=60),
    block_rows=st.integers(1, 60),
)
def test_parquet_rows_are_conserved_whatever_the_block_size(
    tmp_path: Path, counts: list[float | None], block_rows: int
) -> None:
    table = green_table(len(counts), passenger_count=pa.array(counts, pa.float64()))
    path = write_parquet(tmp_path / "green_tripdata_2020-01.parquet", table)
    expected = collect(clean_trips(path, options=LENIENT))

    reader = ParquetTripReader(path, "green", block_rows=block_rows)
    found = collect(CleanedTrips(reader, GREEN, LENIENT, path.name, None))

    assert_same(found, expected)
    assert found.summary.rejected_by_reason == Counter(
        {"zero_passengers": counts.count(0.0)} if 0.0 in counts else {}
    ) + Counter({"unparseable": counts.count(1.5) + counts.count(1e9)})


@pytest.mark.parametrize("color", ["green", "yellow"])
def test_the_same_month_gives_the_same_rows_in_every_format(tmp_path: Path, color: str) -> None:
    month = TripMonth(color, date(2024, 1, 1))
    parquet = tmp_path / f"{month.stem}.parquet"
    write_synthetic_month(month, parquet, 20_000)
    csv, packed = tmp_path / f"{month.stem}.csv", tmp_path / f"{month.stem}.csv.gz"
    table = pq.read_table(parquet)
    seconds = pa.schema(
        pa.field(f.name, pa.timestamp("s") if pa.types.is_timestamp(f.type) else f.type)
        for f in table.schema
    )
    pa_csv.write_csv(table.cast(seconds), csv)  # with quotes around names and texts
    write_bytes(packed, csv.read_bytes().replace(b'"', b""))

    expected = collect(clean_trips(parquet, month))

    assert expected.summary.rows_read == 20_000
    assert expected.summary.rows_rejected > 0
    for path in (csv, packed):
        found = collect(clean_trips(path, month))
        assert found.summary == expected.summary
        assert found.kept.equals(expected.kept)
        canonical = trip_schema(color).names
        rejected = found.rejected.select([*canonical, "reject_reasons"])
        assert rejected.equals(expected.rejected.select(rejected.schema.names))
