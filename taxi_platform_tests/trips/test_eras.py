"""The TLC's files of every era, compared with the results of a plain CSV reader."""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.reader import open_trip_file
from taxi_platform_tests.trips.published import LENIENT, Cleaned, clean_csv, collect, data_lines

pytestmark = pytest.mark.real_data

NO_RULES = replace(LENIENT, rules=(), missing_passenger_count="keep")

HEADS = 148

VENDORS = {"CMT": 1, "VTS": 2, "DDS": 3, "1": 1, "2": 2}
PAYMENTS = {
    **dict.fromkeys(["1", "CREDIT", "CRE", "CRD"], 1),
    **dict.fromkeys(["2", "CASH", "CAS", "CSH"], 2),
    **dict.fromkeys(["3", "NO CHARGE", "NOC", "NO"], 3),
    **dict.fromkeys(["4", "DISPUTE", "DIS"], 4),
    **dict.fromkeys(["5", "UNK"], 5),
    **dict.fromkeys(["", "NA"], None),
}
FLAGS = {"": None, "0": "N", "1": "Y", "N": "N", "Y": "Y"}


def number(text: str) -> float | None:
    return float(text) if text else None


def whole(text: str) -> int | None:
    return int(text) if text else None


# For each column: how a plain reader converts its text, and its names in any era, in lower case
# and without underscores.
EXPECTED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "vendor_id": (VENDORS.__getitem__, ("vendorid", "vendorname")),
    "pickup_datetime": (
        datetime.fromisoformat,
        (
            "lpeppickupdatetime",
            "tpeppickupdatetime",
            "trippickupdatetime",
            "pickupdatetime",
        ),
    ),
    "dropoff_datetime": (
        datetime.fromisoformat,
        (
            "lpepdropoffdatetime",
            "tpepdropoffdatetime",
            "tripdropoffdatetime",
            "dropoffdatetime",
        ),
    ),
    "passenger_count": (whole, ("passengercount",)),
    "trip_distance": (number, ("tripdistance",)),
    "rate_code_id": (whole, ("ratecodeid", "ratecode")),
    "store_and_fwd_flag": (FLAGS.__getitem__, ("storeandfwdflag", "storeandforward")),
    "payment_type": (lambda text: PAYMENTS[text.strip().upper()], ("paymenttype",)),
    "fare_amount": (number, ("fareamount", "fareamt")),
    "extra": (number, ("extra", "surcharge")),
    "mta_tax": (number, ("mtatax",)),
    "tip_amount": (number, ("tipamount", "tipamt")),
    "tolls_amount": (number, ("tollsamount", "tollsamt")),
    "total_amount": (number, ("totalamount", "totalamt")),
    "improvement_surcharge": (number, ("improvementsurcharge",)),
    "congestion_surcharge": (number, ("congestionsurcharge",)),
    "trip_type": (whole, ("triptype",)),
    "ehail_fee": (number, ("ehailfee",)),
    "pickup_location_id": (whole, ("pulocationid",)),
    "dropoff_location_id": (whole, ("dolocationid",)),
    "pickup_longitude": (number, ("pickuplongitude", "startlon")),
    "pickup_latitude": (number, ("pickuplatitude", "startlat")),
    "dropoff_longitude": (number, ("dropofflongitude", "endlon")),
    "dropoff_latitude": (number, ("dropofflatitude", "endlat")),
}


def heads(real_data: Path) -> list[Path]:
    found = sorted((real_data / "tlc_heads").glob("*.csv"))
    assert len(found) == HEADS
    return found


def complete(content: bytes) -> Iterator[dict[str, str]]:
    """The complete rows as a plain reader reads them, by bare name; extra fields are dropped."""
    text = content[: content.rindex(b"\n") + 1].decode()
    header, *rows = csv.reader(text.splitlines())
    names = [name.strip().lower().replace("_", "") for name in header]
    for row in rows:
        if row:
            assert set(row[len(names) :]) <= {""}
            yield dict(zip(names, row, strict=False))


def expected_column(rows: list[dict[str, str]], column: str) -> list[Any]:
    understand, names = EXPECTED[column]
    (name,) = set(names) & set(rows[0]) or {""}
    return [understand(row[name]) if name else None for row in rows]


def clean(path: Path) -> Cleaned:
    return collect(clean_trips(path, options=NO_RULES))


@pytest.mark.slow
def test_every_head_keeps_complete_lines_and_rejects_the_truncated_one(
    real_data: Path,
) -> None:
    whole_ones = []
    for head in heads(real_data):
        content = head.read_bytes()
        lines = list(data_lines(content))
        cut = [] if content.endswith(b"\n") else [lines.pop()]
        if not cut:
            whole_ones.append(head.name)

        cleaned = clean(head)

        assert cleaned.summary.rows_kept == cleaned.kept.num_rows == len(lines), head.name
        assert cleaned.summary.rows_read == len(lines) + len(cut), head.name
        rejected = zip(
            cleaned.rejected["line_number"].to_pylist(),
            cleaned.rejected["raw_text"].to_pylist(),
            strict=True,
        )
        assert list(rejected) == cut, head.name
        assert cleaned.reasons() == [["unparseable"]] * len(cut), head.name
    assert whole_ones == ["green_tripdata_2019-02.csv"]


def test_every_column_of_every_head_is_known(real_data: Path) -> None:
    for head in heads(real_data):
        reader = open_trip_file(head)
        reader.close()

        names = head.read_bytes().partition(b"\n")[0].decode().rstrip("\r").split(",")
        assert reader.columns.unknown == (), head.name
        assert list(reader.columns.mapped) == names, head.name
        assert reader.color == head.name.partition("_")[0], head.name


@pytest.mark.slow
def test_every_value_of_every_head_is_what_a_plain_reader_reads(real_data: Path) -> None:
    values = 0
    for head in heads(real_data):
        rows = list(complete(head.read_bytes()))
        kept = clean(head).kept
        of_this_color = [column for column in EXPECTED if column in kept.schema.names]
        for column in of_this_color:
            expected = expected_column(rows, column)
            assert kept[column].to_pylist() == expected, (head.name, column)
            values += sum(value is not None for value in expected)
        assert set(kept["data_file_month"].to_pylist()) == {
            date.fromisoformat(f"{head.stem[-7:]}-01")
        }
    assert values > 10_000


def test_the_truncated_line_of_every_head_keeps_its_parsed_values(
    real_data: Path,
) -> None:
    """If it has as many fields as a row. Otherwise fields cannot be assigned to columns."""
    for head in heads(real_data):
        content = head.read_bytes()
        cut = content.rpartition(b"\n")[2].decode()
        width = max(len(line.split(",")) for _, line in data_lines(content))
        if cut and len(cut.split(",")) == width:
            rejected = clean(head).rejected
            pickup = next(f for f in cut.split(",") if f.startswith("20") and ":" in f)
            assert rejected["pickup_datetime"].to_pylist() == [datetime.fromisoformat(pickup)]


def cents_by_duckdb(source: str, column: str, path: Path) -> tuple[int, int]:
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select count(*), sum(cast(round(cast({column} as double) * 100) as bigint)) "
            f"from {source}",
            {"path": str(path)},
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def cents(table: pa.Table) -> int:
    return sum(round(total * 100) for total in table["total_amount"].drop_null().to_pylist())


def assert_balanced(path: Path, count: int, source: str, column: str) -> None:
    """Checks that rows and cents are conserved, with and without rules."""
    expected = cents_by_duckdb(source, column, path)
    assert expected[0] == count
    for options in (LENIENT, NO_RULES):
        cleaned = collect(clean_trips(path, options=options))
        assert cleaned.summary.rows_read == count
        assert cleaned.kept.num_rows == cleaned.summary.rows_kept
        assert cleaned.rejected.num_rows == cleaned.summary.rows_rejected
        assert cleaned.kept.num_rows + cleaned.rejected.num_rows == count
        assert cents(cleaned.kept) + cents(cleaned.rejected) == expected[1]


MONTHS = {
    "2022-01": 62_495,
    "2022-03": 78_537,
    "2023-01": 68_211,
    "2023-02": 64_809,
    "2024-01": 56_551,
}


@pytest.mark.parametrize("month", MONTHS)
def test_a_parquet_month_has_the_rows_and_cents_that_duckdb_counts(
    real_data: Path, month: str
) -> None:
    path = real_data / "tlc_months" / f"green_tripdata_{month}.parquet"

    assert_balanced(path, MONTHS[month], "read_parquet($path)", "total_amount")


PLAIN = "read_csv($path, header = false, skip = {}, all_varchar = true, delim = ',')"


def test_a_csv_month_has_the_rows_and_cents_that_duckdb_counts(real_data: Path) -> None:
    path = real_data / "tlc_months" / "green_tripdata_2013-08.csv"

    assert_balanced(path, 7_623, PLAIN.format(2), "column17")


@pytest.mark.parametrize("month", ["2018-06", "2019-06", "2020-04", "2020-10"])
def test_a_sample_has_the_rows_and_cents_that_duckdb_counts(real_data: Path, month: str) -> None:
    path = real_data / "tlc_samples" / f"yellow_tripdata_sample_{month}.csv"

    assert_balanced(path, 10_000, PLAIN.format(1), "column16")


@pytest.mark.parametrize("month", ["2015-01", "2016-02"])
def test_a_sample_without_its_last_newline_rejects_only_that_line(
    real_data: Path, month: str
) -> None:
    path = real_data / "tlc_samples" / f"yellow_tripdata_{month}.csv"
    with path.open(newline="") as lines:
        count = sum(1 for row in csv.reader(lines) if row) - 1

    assert_balanced(path, count, PLAIN.format(1), "column18")

    cleaned = clean(path)
    assert cleaned.rejected["line_number"].to_pylist() == [count + 1]
    assert cleaned.rejected["total_amount"].null_count == 0


REPUBLISHED_TYPES = {
    **dict.fromkeys(["passengercount"], pa.int64()),
    **dict.fromkeys(["ratecode", "storeandforward"], pa.float64()),
    **dict.fromkeys(
        "tripdistance startlon startlat endlon endlat fareamt surcharge mtatax tipamt tollsamt "
        "totalamt".split(),
        pa.float64(),
    ),
}
"""As in the TLC's Parquet of 2009. All other columns are text, including times."""


@pytest.mark.parametrize("missing", [None, math.nan], ids=["null", "NaN"])
@pytest.mark.parametrize("month", ["2009-02", "2009-09", "2009-12"])
def test_republished_parquet_of_2009_is_read_like_its_csv(
    real_data: Path, tmp_path: Path, month: str, missing: float | None
) -> None:
    head = real_data / "tlc_heads" / f"yellow_tripdata_{month}.csv"
    header = head.read_bytes().partition(b"\n")[0].decode().split(",")
    rows = list(complete(head.read_bytes()))
    arrays = {}
    for name in header:
        bare = name.strip().lower().replace("_", "")
        type_ = REPUBLISHED_TYPES.get(bare, pa.string())
        texts = [row[bare] for row in rows]
        if pa.types.is_string(type_):
            values: list[Any] = [text or None for text in texts]
        else:
            values = [float(text) if text else missing for text in texts]
        arrays[name] = pa.array(values, type=type_, from_pandas=False)
    path = tmp_path / f"yellow_tripdata_{month}.parquet"
    pq.write_table(pa.table(arrays), path)

    found, expected = clean(path), clean(head)

    assert found.kept.equals(expected.kept)
    assert found.rejected.num_rows == 0
    assert set(found.kept["payment_type"].to_pylist()) <= {1, 2, 3, 4}


@pytest.mark.parametrize("month", ["2010-02", "2010-09", "2012-02"])
def test_parquet_since_2010_with_text_codes_is_read_like_its_csv(
    real_data: Path, tmp_path: Path, month: str
) -> None:
    head = real_data / "tlc_heads" / f"yellow_tripdata_{month}.csv"
    rows = list(complete(head.read_bytes()))
    texts = ("vendorid", "pickupdatetime", "dropoffdatetime", "ratecode", "storeandfwdflag")
    columns = head.read_bytes().partition(b"\n")[0].decode().split(",")
    arrays = {}
    for name in columns:
        bare = name.replace("_", "")
        values = [row[bare] for row in rows]
        is_text = bare in (*texts, "paymenttype")
        arrays[name] = pa.array(values if is_text else [number(value) for value in values])
    path = tmp_path / f"yellow_tripdata_{month}.parquet"
    pq.write_table(pa.table(arrays), path)

    assert clean(path).kept.equals(clean(head).kept)


@pytest.mark.slow
def test_heads_do_not_depend_on_the_block_size(real_data: Path) -> None:
    for head in heads(real_data)[::7]:
        expected = clean(head)
        color, _ = parse_file_name(head.name)
        month = TripMonth(color or "", date.fromisoformat(f"{head.stem[-7:]}-01"))
        found = clean_csv(head, 150, NO_RULES, month)

        assert found.kept.equals(expected.kept), head.name
        assert found.rejected.equals(expected.rejected), head.name
