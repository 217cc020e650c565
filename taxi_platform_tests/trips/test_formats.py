"""The same rows give the same result in every block size, format and compression of every era."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxi_platform.trips.cleaning import CleanedTrips, clean_trips
from taxi_platform.trips.parquet_reader import ParquetTripReader
from taxi_platform.trips.schema import trip_schema
from taxi_platform_tests.trips.published import (
    LENIENT,
    Cleaned,
    bounded,
    clean_csv,
    collect,
    data_lines,
    write_bytes,
)
from taxi_platform_tests.trips.shapes import SHAPES, Shape

OPTIONS = replace(LENIENT, missing_passenger_count="keep")

ODD_FIELDS = (
    *("", " ", "NULL", "nan", "N/A", "x", "1.0", "2.00", " 3 ", "1.5", "-1", "0", "1e400", "-inf"),
    *("CMT", "cash", " Credit ", "NA ", "NOC", "Y", "70000", "0x10", "2020-02-30 00:00:00", "N\0"),
    *("0000-01-01 00:00:00", "2009-01-01", "\u00e9", "\u00a0"),
)
"""Unusual field values."""

few = settings(bounded, max_examples=8)
"""Examples per shape. There are many shapes."""

by_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@st.composite
def tables(draw: st.DrawFn, shape: Shape) -> list[list[str]]:
    """Rows of a shape, with a few unusual fields."""
    random = Random(draw(st.integers(0, 1 << 30)))  # noqa: S311 - no secret
    rows = [shape.fields(random) for _ in range(draw(st.integers(1, 25)))]
    for _ in range(draw(st.sampled_from([0, 0, 1, 3, 20]))):
        random.choice(rows)[random.randrange(len(shape.names))] = random.choice(ODD_FIELDS)
    return rows


RAGGED = st.sampled_from(
    [b"", b"", b"\r", b",", b"1,2,3", b"   ", b"," * 17, b"," * 30, b"\xff", b"\xef\xbb\xbf", b"\0"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r\r\n"])


@st.composite
def contents(draw: st.DrawFn, shape: Shape) -> bytes:
    """A CSV of a shape with ragged and blank lines and mixed line endings, often truncated."""
    content = shape.head
    for row in draw(tables(shape)):
        for ragged in draw(st.lists(RAGGED, max_size=2)):
            content += ragged + draw(ENDS)
        content += ",".join(row).encode() + b"," * shape.beyond + draw(ENDS)
    return content[: len(content) - draw(st.sampled_from([0, 0, 1, 5, 40]))]


def assert_same(found: Cleaned, expected: Cleaned) -> None:
    assert found.summary == expected.summary
    assert found.kept.equals(expected.kept)
    assert found.rejected.equals(expected.rejected)


@pytest.mark.slow
@by_shape
@few
@given(data=st.data())
def test_a_csv_of_any_era_does_not_depend_on_block_size_or_gzip(
    tmp_path: Path, shape: Shape, data: st.DataObject
) -> None:
    content = data.draw(contents(shape))
    path = write_bytes(tmp_path / f"{shape.month.stem}.csv", content)
    lines = data_lines(content)
    if not lines:
        return

    whole = clean_csv(path, options=OPTIONS, month=shape.month)

    assert whole.summary.rows_read == len(lines)
    assert whole.kept.num_rows + whole.rejected.num_rows == len(lines)
    block_bytes = data.draw(st.integers(1, 3_000))
    assert_same(clean_csv(path, block_bytes, OPTIONS, shape.month), whole)
    gzipped = write_bytes(tmp_path / "g.csv.gz", content)
    assert_same(clean_csv(gzipped, block_bytes, OPTIONS, shape.month), whole)


def written_csv(shape: Shape, path: Path, rows: list[list[str]]) -> Cleaned:
    lines = [(",".join(row) + "," * shape.beyond).encode() + b"\r\n" for row in rows]
    path.write_bytes(shape.head + b"".join(lines))
    return collect(clean_trips(path, shape.month, OPTIONS))


def written_parquet(
    shape: Shape, path: Path, columns: list[pa.Array], data: st.DataObject
) -> Cleaned:
    pq.write_table(
        pa.table(dict(zip(shape.names, columns, strict=True))),
        path,
        row_group_size=data.draw(st.integers(1, 30)),
        compression=data.draw(st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4"])),
        use_dictionary=data.draw(st.booleans()),
        data_page_version=data.draw(st.sampled_from(["1.0", "2.0"])),
    )
    block_rows = data.draw(st.integers(1, 30))
    reader = ParquetTripReader(path, shape.month.color, block_rows=block_rows)
    return collect(CleanedTrips(reader, shape.month, OPTIONS, path.name, None))


def assert_like_csv(found: Cleaned, expected: Cleaned, color: str) -> None:
    """Compares everything except the position of rejected rows."""
    assert found.kept.equals(expected.kept)
    assert found.summary == expected.summary
    shared = [*trip_schema(color).names, "reject_reasons"]
    assert found.rejected.select(shared).equals(expected.rejected.select(shared))


@pytest.mark.slow
@by_shape
@few
@given(data=st.data())
def test_parquet_of_texts_is_read_like_a_csv_of_any_era(
    tmp_path: Path, shape: Shape, data: st.DataObject
) -> None:
    rows = data.draw(tables(shape))
    kinds = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
    absent = data.draw(st.sampled_from(["", None]))
    columns = [
        pa.array([field or absent for field in fields], pa.string()).cast(
            data.draw(st.sampled_from(kinds))
        )
        for fields in zip(*rows, strict=True)
    ]

    expected = written_csv(shape, tmp_path / "t.csv", rows)
    found = written_parquet(shape, tmp_path / "t.parquet", columns, data)

    assert_like_csv(found, expected, shape.month.color)


@by_shape
@few
@given(data=st.data())
def test_parquet_of_numbers_and_times_is_read_like_a_csv_of_any_era(
    tmp_path: Path, shape: Shape, data: st.DataObject
) -> None:
    random = Random(data.draw(st.integers(0, 1 << 30)))  # noqa: S311 - no secret
    rows = [shape.fields(random) for _ in range(data.draw(st.integers(1, 25)))]
    columns = [_typed(fields, data) for fields in zip(*rows, strict=True)]

    expected = written_csv(shape, tmp_path / "t.csv", rows)
    found = written_parquet(shape, tmp_path / "t.parquet", columns, data)

    assert_like_csv(found, expected, shape.month.color)
    assert found.summary.rejected_by_reason["unparseable"] == 0


def _typed(fields: tuple[str, ...], data: st.DataObject) -> pa.Array:
    """Converts fields to one of their published types, if all of them are numbers or times."""
    texts = pa.array([field or None for field in fields], pa.string())
    kinds: list[Any] = (
        [pa.timestamp("us"), pa.timestamp("ms")] if ":" in fields[0] else [pa.float64()]
    )
    try:
        typed = texts.cast(data.draw(st.sampled_from(kinds)))
    except pa.ArrowInvalid:
        return texts
    if pa.types.is_floating(typed.type) and data.draw(st.booleans()):
        try:
            return typed.cast(data.draw(st.sampled_from([pa.int32(), pa.int64()])))
        except pa.ArrowInvalid:
            return typed
    return typed
