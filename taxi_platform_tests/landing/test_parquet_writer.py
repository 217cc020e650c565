import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_platform.landing.parquet_writer import ROW_GROUP_ROWS, parquet_file
from taxi_platform.trips.ordered_map import cpu_threads
from taxi_platform.trips.schema import trip_schema

SCHEMA = trip_schema("yellow")
START = datetime(2024, 1, 1)  # noqa: DTZ001


def batch(first: int, rows: int) -> pa.RecordBatch:
    """Trips whose distance is their index, with one day of pickups per row group."""
    numbers = pa.array(range(first, first + rows), pa.int64())
    times = pc.add(
        pa.scalar(START, pa.timestamp("us")), pc.multiply(numbers, 1).cast("duration[us]")
    )
    given = {"trip_distance": numbers.cast(pa.float64()), "pickup_datetime": times}
    return pa.RecordBatch.from_arrays(
        [given.get(field.name, pa.nulls(rows, field.type)) for field in SCHEMA], schema=SCHEMA
    )


def write(target: Path, sizes: list[int]) -> None:
    with cpu_threads() as pool, parquet_file(target, SCHEMA, "yellow", pool) as file:
        first = 0
        for rows in sizes:
            file.write(batch(first, rows))
            first += rows
        file.finish({"key": "value"})


@pytest.mark.parametrize(
    "sizes", [[], [0], [5], [ROW_GROUP_ROWS], [50_000] * 8, [7, 0, ROW_GROUP_ROWS + 1, 3]]
)
def test_written_rows_do_not_depend_on_the_batches(tmp_path: Path, sizes: list[int]) -> None:
    write(tmp_path / "trips.parquet", sizes)

    with pq.ParquetFile(tmp_path / "trips.parquet") as file:
        assert file.metadata.metadata[b"key"] == b"value"
        assert file.schema_arrow.equals(SCHEMA)
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        distances = file.read(["trip_distance"])["trip_distance"]
    assert distances.to_pylist() == [float(n) for n in range(sum(sizes))]
    assert all(rows >= ROW_GROUP_ROWS for rows in groups[:-1])
    assert max(groups, default=0) < ROW_GROUP_ROWS + max(sizes, default=1)


def test_a_reader_can_skip_row_groups_by_pickup_time(tmp_path: Path) -> None:
    write(tmp_path / "trips.parquet", [ROW_GROUP_ROWS] * 3)

    footer = pq.read_metadata(tmp_path / "trips.parquet")
    at = footer.schema.names.index("pickup_datetime")
    found = [footer.row_group(n).column(at).statistics for n in range(3)]
    assert all(one.max < other.min for one, other in pairwise(found))


def test_an_aborted_write_is_over_when_its_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow would write into a file that is closed already."""
    is_writing, may_go_on = threading.Event(), threading.Event()
    write_table = pq.ParquetWriter.write_table

    def slow(writer: pq.ParquetWriter, rows: pa.Table, size: int) -> None:
        is_writing.set()
        assert may_go_on.wait(10)
        write_table(writer, rows, size)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", slow)

    def break_off(pool: ThreadPoolExecutor) -> None:
        with parquet_file(tmp_path / "trips.parquet", SCHEMA, "yellow", pool) as file:
            file.write(batch(0, ROW_GROUP_ROWS))
            assert is_writing.wait(10)
            threading.Timer(0.2, may_go_on.set).start()
            raise ConnectionError

    with cpu_threads() as pool:
        with pytest.raises(ConnectionError):
            break_off(pool)
        assert may_go_on.is_set()
