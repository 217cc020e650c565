import gzip
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import (
    CHUNK_ROWS,
    default_rows,
    publication_ending,
    synthetic_chunks,
    write_synthetic_month,
)
from taxi_platform_tests.trips.published import Cleaned, collect, local

MONTHS = [
    TripMonth(color, month)
    for color in ("green", "yellow")
    for month in (date(2019, 5, 1), date(2021, 2, 1), date(2024, 12, 1))
]
EVERY_MONTH = pytest.mark.parametrize("month", MONTHS, ids=str)


def write(month: TripMonth, folder: Path, rows: int | None) -> Path:
    path = folder / f"{month.stem}{publication_ending(month)}"
    write_synthetic_month(month, path, rows)
    return path


@EVERY_MONTH
def test_the_same_month_and_row_count_give_the_same_bytes(tmp_path: Path, month: TripMonth) -> None:
    contents = set()
    for name in ("a", "b"):
        path = tmp_path / name
        write_synthetic_month(month, path, 3_000)
        contents.add(path.read_bytes())

    assert len(contents) == 1


def test_the_bytes_contain_neither_time_nor_path(tmp_path: Path) -> None:
    header = write(MONTHS[0], tmp_path, 10).read_bytes()[:8]

    assert header == b"\x1f\x8b\x08\0" + b"\0" * 4


def test_different_months_and_row_counts_give_different_trips() -> None:
    def distances(color: str, month: date, rows: int) -> tuple[Any, ...]:
        chunk = next(synthetic_chunks(TripMonth(color, month), rows))
        return tuple(chunk["trip_distance"].to_pylist()[:50])

    found = {
        distances("green", date(2024, 1, 1), 500),
        distances("green", date(2024, 1, 1), 501),
        distances("green", date(2024, 2, 1), 500),
        distances("yellow", date(2024, 1, 1), 500),
    }
    assert len(found) == 4


@EVERY_MONTH
@pytest.mark.parametrize("rows", [1, 2, 999])
def test_the_row_count_is_exact(tmp_path: Path, month: TripMonth, rows: int) -> None:
    options = CleaningOptions(max_rejected_share=1.0)

    assert (
        collect(clean_trips(write(month, tmp_path, rows), month, options)).summary.rows_read == rows
    )


@pytest.mark.parametrize("month", [MONTHS[3], MONTHS[5]], ids=str)
def test_the_row_count_is_exact_over_several_chunks(tmp_path: Path, month: TripMonth) -> None:
    rows = CHUNK_ROWS + 7

    chunks = [chunk.num_rows for chunk in synthetic_chunks(month, rows)]

    assert chunks == [CHUNK_ROWS, 7]
    assert collect(clean_trips(write(month, tmp_path, rows), month)).summary.rows_read == rows


def test_a_month_of_the_default_size_has_the_default_rows(tmp_path: Path) -> None:
    path = write(MONTHS[2], tmp_path, None)

    assert pq.read_metadata(path).num_rows == default_rows("green")


@EVERY_MONTH
def test_a_month_without_rows_has_a_header(tmp_path: Path, month: TripMonth) -> None:
    path = write(month, tmp_path, 0)

    if path.suffix == ".parquet":
        assert pq.read_schema(path).names[0] == "VendorID"
    else:
        assert gzip.decompress(path.read_bytes()).startswith(b"VendorID,")


@pytest.mark.parametrize(
    ("month", "ending"),
    [(date(2021, 12, 1), ".csv.gz"), (date(2022, 1, 1), ".parquet"), (date(2009, 1, 1), ".csv.gz")],
)
def test_the_format_is_the_one_published_at_the_time(
    tmp_path: Path, month: date, ending: str
) -> None:
    path = write(TripMonth("green", month), tmp_path, 10)

    assert path.name.endswith(ending)
    magic = path.read_bytes()[:2]
    assert magic == (b"PA" if ending == ".parquet" else b"\x1f\x8b")


@pytest.fixture(scope="module", params=MONTHS, ids=str)
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cleaned:
    month: TripMonth = request.param
    path = write(month, tmp_path_factory.mktemp("synthetic"), 60_000)
    trips = clean_trips(path, month, CleaningOptions(missing_passenger_count="keep"))
    assert trips.columns.unknown == ()
    return collect(trips)


def share(mask: pa.ChunkedArray) -> float:
    return float(pc.mean(pc.cast(pc.fill_null(mask, False), pa.float64())).as_py())


def test_bad_rows_have_about_the_published_shares(large: Cleaned) -> None:
    reasons = large.summary.rejected_by_reason
    read = large.summary.rows_read

    assert set(reasons) == {"zero_passengers", "pickup_outside_month", "dropoff_before_pickup"}
    assert 0.003 < reasons["zero_passengers"] / read < 0.013
    assert 0 < reasons["pickup_outside_month"] / read < 0.0006
    assert 0 < reasons["dropoff_before_pickup"] / read < 0.005
    assert large.summary.rejected_share < 0.05


def test_reversals_unknown_zones_and_long_trips_are_generated(large: Cleaned) -> None:
    kept = large.kept

    assert 0.001 < share(pc.less(kept["total_amount"], 0)) < 0.006
    unknown = pc.is_in(kept["pickup_location_id"], pa.array([264, 265], pa.int16()))
    assert 0.005 < share(unknown) < 0.03
    assert share(pc.equal(kept["rate_code_id"], 99)) > 0
    long = pc.greater(pc.seconds_between(kept["pickup_datetime"], kept["dropoff_datetime"]), 82_800)
    assert 0 < share(long) < 0.005


def test_a_reversal_follows_its_trip(large: Cleaned) -> None:
    rows = large.kept.select(["pickup_datetime", "total_amount", "payment_type"]).to_pylist()

    pairs = [(a, b) for a, b in pairwise(rows) if b["total_amount"] < 0]
    adjacent = [(a, b) for a, b in pairs if a["pickup_datetime"] == b["pickup_datetime"]]

    assert len(adjacent) > 0.9 * len(pairs)
    assert {b["payment_type"] for _, b in adjacent} == {3, 4}


def test_the_null_block_exists_since_2020_and_is_null_together(large: Cleaned) -> None:
    month = large.kept["data_file_month"][0].as_py()
    missing = pc.is_null(large.kept["passenger_count"])

    if month < date(2020, 4, 1):
        assert share(missing) == 0
    else:
        assert 0.06 < share(missing) < 0.12
    names = ["rate_code_id", "store_and_fwd_flag", "payment_type", "congestion_surcharge"]
    for name in names:
        assert pc.is_null(large.kept[name]).equals(missing), name
    vendors = pc.is_null(large.kept["vendor_id"])
    assert share(vendors) == (share(missing) if month < date(2022, 1, 1) else 0)


def test_trips_are_in_their_month_except_bad_rows(large: Cleaned) -> None:
    month = large.kept["data_file_month"][0].as_py()
    start = local(month.isoformat())
    following = local(date(month.year + month.month // 12, month.month % 12 + 1, 1).isoformat())
    pickups = large.kept["pickup_datetime"]

    inside = pc.and_(pc.greater_equal(pickups, start), pc.less(pickups, following))

    assert 0.999 < share(inside) < 1
    days = pc.count_distinct(pc.floor_temporal(pickups.filter(inside), unit="day")).as_py()
    assert days == (following - start).days
