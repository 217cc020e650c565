import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.blocks import BLOCK_ROWS, parsed_columns
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.parquet_damage import damaged
from taxi_platform.trips.parquet_reader import ParquetTripReader
from taxi_platform_tests.trips.published import (
    TRIP,
    Parsed,
    bounded,
    green_table,
    local,
    parse_all,
    parse_csv,
    trip,
    write_csv,
    write_parquet,
)

BLOCK_SIZES = pytest.mark.parametrize("block_rows", [1, 7, BLOCK_ROWS])

REAL_ROWS = {"2022-01": 62_495, "2023-01": 68_211, "2023-02": 64_809, "2024-01": 56_551}


def parse(path: Path, block_rows: int = BLOCK_ROWS, color: str = "green") -> Parsed:
    return parse_all(ParquetTripReader(path, color, block_rows=block_rows))


@pytest.mark.real_data
@pytest.mark.parametrize(("month", "count"), REAL_ROWS.items())
def test_published_months_are_read_whole_in_the_canonical_types(
    real_data: Path, month: str, count: int
) -> None:
    path = real_data / "tlc_months" / f"green_tripdata_{month}.parquet"

    parsed = parse(path)

    assert len(parsed.lines) == count
    assert parsed.lines == list(range(1, count + 1))
    assert parsed.bad == []
    assert parsed.rows.schema.types == [column.type for column in parsed_columns("green")]
    published = pq.read_table(path)
    for name, canonical in [
        ("VendorID", "vendor_id"),
        ("lpep_pickup_datetime", "pickup_datetime"),
        ("PULocationID", "pickup_location_id"),
        ("total_amount", "total_amount"),
        ("store_and_fwd_flag", "store_and_fwd_flag"),
        ("passenger_count", "passenger_count"),
    ]:
        expected = published[name].cast(parsed.rows.schema.field(canonical).type)
        assert parsed.rows[canonical].equals(expected), name


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("month", "published"), [("2022-01", pa.null()), ("2023-02", pa.float64())]
)
def test_the_ehail_fee_is_a_double_whatever_its_published_type(
    real_data: Path, month: str, published: pa.DataType
) -> None:
    path = real_data / "tlc_months" / f"green_tripdata_{month}.parquet"
    assert pq.read_schema(path).field("ehail_fee").type == published

    column = parse(path).rows["ehail_fee"]

    assert column.type == pa.float64()
    assert column.null_count == len(column)


@BLOCK_SIZES
def test_a_row_is_read_like_the_same_row_of_a_csv(tmp_path: Path, block_rows: int) -> None:
    expected = parse_csv(write_csv(tmp_path / "g.csv", [trip()] * 20))

    parsed = parse(write_parquet(tmp_path / "g.parquet", green_table(20)), block_rows)

    assert parsed.rows.equals(expected.rows)
    assert parsed.lines == list(range(1, 21))


BAD_VALUES: dict[str, tuple[str, list[Any], Any]] = {
    "a fractional code": ("payment_type", [1.0, 2.5, None], [1, None]),
    "a code out of range": ("PULocationID", [1, 70_000, None], [1, None]),
    "an infinite code": ("passenger_count", [1.0, math.inf, math.nan], [1, None]),
    "an infinite amount": ("total_amount", [1.5, -math.inf, None], [1.5, None]),
    "an absurd amount": ("trip_distance", [259_778.0, 1e13, 0.0], [259_778.0, 0.0]),
    "a NUL in a text": ("store_and_fwd_flag", ["N", "N\0", None], ["N", None]),
    "a word for a code": ("VendorID", ["1", "x", " 2.0 "], [1, 2]),
    "a word for a time": (
        "lpep_pickup_datetime",
        ["2020-01-01 00:00:00", "soon", None],
        [local("2020-01-01"), None],
    ),
}

CANONICAL = {
    "PULocationID": "pickup_location_id",
    "VendorID": "vendor_id",
    "lpep_pickup_datetime": "pickup_datetime",
}


@BLOCK_SIZES
@pytest.mark.parametrize(("published", "values", "expected"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_only_the_bad_row_is_rejected_with_its_number_and_values(
    tmp_path: Path, published: str, values: list[Any], expected: list[Any], block_rows: int
) -> None:
    path = write_parquet(tmp_path / "g.parquet", green_table(3, **{published: values}))

    parsed = parse(path, block_rows)

    assert parsed.column(CANONICAL.get(published, published)) == expected
    assert parsed.lines == [1, 3]
    ((number, text),) = parsed.bad
    assert number == 2
    row = json.loads(text or "", parse_constant=lambda name: pytest.fail(f"not JSON: {name}"))
    assert row["VendorID" if published != "VendorID" else published] in (2, "x")
    shown = values[1]
    assert row[published] == (str(shown) if shown in (math.inf, -math.inf) else shown)


@BLOCK_SIZES
def test_nan_is_a_missing_value(tmp_path: Path, block_rows: int) -> None:
    """Pandas writes missing values as NaN."""
    nan = [math.nan, 1.0, math.nan]
    path = write_parquet(tmp_path / "g.parquet", green_table(3, passenger_count=nan, extra=nan))

    parsed = parse(path, block_rows)

    assert parsed.bad == []
    assert parsed.column("passenger_count") == [None, 1, None]
    assert parsed.column("extra") == [None, 1.0, None]


@pytest.mark.parametrize(
    "type_",
    [pa.int8(), pa.int64(), pa.uint16(), pa.float32(), pa.decimal128(4, 1), pa.large_string()],
    ids=str,
)
def test_a_code_is_read_from_every_type(tmp_path: Path, type_: pa.DataType) -> None:
    codes = pa.array(["1", None, "5"]).cast(type_)

    path = write_parquet(tmp_path / "g.parquet", green_table(3, trip_type=codes))

    assert parse(path).column("trip_type") == [1, None, 5]


@BLOCK_SIZES
@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()], ids=str)
def test_invalid_utf_8_rejects_only_its_own_row(
    tmp_path: Path, type_: pa.DataType, block_rows: int
) -> None:
    """Arrow does not validate the texts of a Parquet file."""
    flags = pa.array([b"N", b"\xff\xfe", None, "\ufffd".encode(), b"Y"])
    width = pa.binary() if pa.types.is_string(type_) else pa.large_binary()
    table = green_table(5, store_and_fwd_flag=flags.cast(width).view(type_))

    parsed = parse(write_parquet(tmp_path / "g.parquet", table), block_rows)

    assert parsed.column("store_and_fwd_flag") == ["N", None, "\ufffd", "Y"]
    ((number, text),) = parsed.bad
    assert number == 2
    assert json.loads(text or "")["store_and_fwd_flag"] == "\ufffd\ufffd"


@BLOCK_SIZES
@pytest.mark.parametrize("unit", ["us", "ms"])
def test_a_time_out_of_range_rejects_only_its_own_row(
    tmp_path: Path, unit: str, block_rows: int
) -> None:
    times = pa.array([0, 1 << 60, None]).cast(pa.timestamp(unit))
    path = write_parquet(tmp_path / "g.parquet", green_table(3, lpep_dropoff_datetime=times))

    parsed = parse(path, block_rows)

    assert parsed.column("dropoff_datetime") == [local("1970-01-01"), None]
    ((number, text),) = parsed.bad
    assert number == 2
    assert "out of range" in json.loads(text or "")["lpep_dropoff_datetime"]


@BLOCK_SIZES
def test_missing_texts_are_null_whatever_else_is_in_their_block(
    tmp_path: Path, block_rows: int
) -> None:
    flags = ["", "N", "NULL", "N\0", "NaN", None]
    path = write_parquet(tmp_path / "g.parquet", green_table(6, store_and_fwd_flag=flags))

    parsed = parse(path, block_rows)

    assert parsed.column("store_and_fwd_flag") == [None, "N", None, None, None]
    assert [number for number, _ in parsed.bad] == [4]


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_times_are_read_in_every_unit(tmp_path: Path, unit: str) -> None:
    times = pa.array([local("2020-01-02 03:04:05"), None], pa.timestamp(unit))

    path = write_parquet(tmp_path / "g.parquet", green_table(2, lpep_dropoff_datetime=times))

    assert parse(path).column("dropoff_datetime") == [local("2020-01-02 03:04:05"), None]


def test_an_all_null_column_is_read(tmp_path: Path) -> None:
    table = green_table(2, ehail_fee=pa.nulls(2), trip_type=pa.nulls(2))

    parsed = parse(write_parquet(tmp_path / "g.parquet", table))

    assert parsed.column("ehail_fee") == parsed.column("trip_type") == [None, None]


def test_dictionaries_of_texts_are_read(tmp_path: Path) -> None:
    flags = pa.array(["N", "Y", None, "N"]).dictionary_encode()

    path = write_parquet(tmp_path / "g.parquet", green_table(4, store_and_fwd_flag=flags))

    assert parse(path).column("store_and_fwd_flag") == ["N", "Y", None, "N"]


def test_a_column_of_an_unusable_type_rejects_its_rows(tmp_path: Path) -> None:
    table = green_table(2, lpep_pickup_datetime=pa.array([True, False]))

    parsed = parse(write_parquet(tmp_path / "g.parquet", table))

    assert [number for number, _ in parsed.bad] == [1, 2]


def test_unknown_columns_are_reported_and_not_read(tmp_path: Path) -> None:
    table = green_table(2, surge=pa.array([["a"], ["b"]]))
    reader = ParquetTripReader(write_parquet(tmp_path / "g.parquet", table), "green")

    assert reader.columns.unknown == ("surge",)
    assert all("surge" not in raw.batch.schema.names for raw in reader.raw_blocks())
    reader.close()


@pytest.mark.slow
@bounded
@given(
    counts=st.lists(
        st.sampled_from([1.0, 2.0, 0.0, None, math.nan, 1.5, 1e9, math.inf]), min_size=1
    ),
    row_group=st.integers(1, 40),
    block_rows=st.integers(1, 40),
)
def test_rows_do_not_depend_on_blocks_and_row_groups(
    tmp_path: Path, counts: list[float | None], row_group: int, block_rows: int
) -> None:
    table = green_table(len(counts), passenger_count=pa.array(counts, pa.float64()))
    path = tmp_path / "g.parquet"
    pq.write_table(table, path, row_group_size=row_group)

    whole, parts = parse(path), parse(path, block_rows)

    numbers = [n for n, _ in whole.bad]
    assert [n for n, c in enumerate(counts, 1) if c in (1.5, 1e9, math.inf)] == numbers
    assert sorted([*whole.lines, *numbers]) == list(range(1, len(counts) + 1))
    assert parts.rows.equals(whole.rows)
    assert parts.lines == whole.lines
    assert parts.bad == whole.bad


def test_a_block_has_at_most_its_number_of_rows(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "g.parquet", green_table(100))
    reader = ParquetTripReader(path, "green", block_rows=16)

    blocks = list(reader.raw_blocks())
    reader.close()

    assert max(block.batch.num_rows for block in blocks) == 16
    assert [block.first_row for block in blocks] == list(range(1, 101, 16))


@pytest.mark.parametrize("keep", [4, 8, 500, -1, -8])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write_parquet(tmp_path / "g.parquet", green_table(100))
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(TripFileError) as error:
        ParquetTripReader(path, "green")

    message = str(error.value)
    assert message.startswith("g.parquet is a damaged or truncated Parquet file (")
    assert message.endswith("download it again")
    assert "\n" not in message


def test_damage_in_the_data_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    noise = pa.array([float(n * n % 9973) for n in range(5000)])
    pq.write_table(green_table(5000, total_amount=noise), path, compression="zstd")
    content = bytearray(path.read_bytes())
    middle = pq.read_metadata(path).row_group(0).column(16)
    start = middle.data_page_offset
    content[start : start + 400] = b"\xff" * 400
    path.write_bytes(content)
    reader = ParquetTripReader(path, "green")

    with pytest.raises(TripFileError, match=r"g\.parquet is a damaged or truncated Parquet file"):
        parse_all(reader)


def test_a_file_of_another_table_is_refused_with_its_header(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "zones.parquet", pa.table({"LocationID": [1], "Zone": ["a"]}))

    with pytest.raises(TripFileError) as error:
        ParquetTripReader(path, "green")

    assert "not a green trip file: no column for vendor_id" in str(error.value)
    assert str(error.value).endswith("its header has 2: LocationID, Zone")


def test_a_table_without_rows_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "g.parquet", green_table(3).slice(0, 0))
    reader = ParquetTripReader(path, "green")

    assert sum(reader.parse(raw).rows_read for raw in reader.raw_blocks()) == 0
    reader.close()


BYTES = {
    "binary": pa.binary(),
    "large binary": pa.large_binary(),
    "dictionary": pa.dictionary(pa.int32(), pa.binary()),
}


@BLOCK_SIZES
@pytest.mark.parametrize("type_", BYTES.values(), ids=BYTES)
@pytest.mark.parametrize(
    "column",
    ["VendorID", "lpep_dropoff_datetime", "fare_amount", "store_and_fwd_flag", "payment_type"],
)
def test_a_damaged_text_of_bytes_rejects_only_its_own_row(
    tmp_path: Path, column: str, type_: pa.DataType, block_rows: int
) -> None:
    """Hive and old versions of Spark write texts that are not labeled as such."""
    values = [TRIP[column].encode()] * 40
    values[3] = b"" if column in ("fare_amount", "payment_type") else values[3]
    values[20] = b"\xff"
    array = pa.array(values, pa.binary())
    if pa.types.is_dictionary(type_):
        array = array.dictionary_encode()
    path = tmp_path / "g.parquet"
    pq.write_table(green_table(40, **{column: array.cast(type_)}), path)

    parsed = parse(path, block_rows)

    assert [line for line, _ in parsed.bad] == [21]
    assert parsed.lines == [n for n in range(1, 41) if n != 21]


def test_a_type_that_cannot_be_read_is_no_damage() -> None:
    error = pa.ArrowNotImplementedError("Integers with more than 64 bits not implemented")

    assert str(damaged(Path("g.parquet"), error)) == (
        "g.parquet has a column of a type that cannot be read (Integers with more than 64 bits "
        "not implemented): write it as a 64-bit integer, a double, a text or a timestamp"
    )
