from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.landing.trip_batches import batches_ahead


def written(path: Path, table: pa.Table, **options: object) -> pq.ParquetFile:
    pq.write_table(table, path, row_group_size=2, **options)
    return pq.ParquetFile(path)


TABLE = pa.table(
    {
        "all": [1, 2, 3, 4],
        "late": pa.array([None, None, None, 4], pa.int16()),
        "none": pa.array([None] * 4, pa.float64()),
    }
)


def test_a_file_without_rows_has_no_batches(tmp_path: Path) -> None:
    with written(tmp_path / "a.parquet", TABLE[:0]) as file:
        assert sum(b.num_rows for b in batches_ahead(file, ["all"], 3)) == 0


def test_batches_contain_all_rows_in_order(tmp_path: Path) -> None:
    with written(tmp_path / "a.parquet", TABLE) as file:
        batches = list(batches_ahead(file, ["late", "all"], 3))
    assert max(batch.num_rows for batch in batches) <= 3
    assert (
        pa.Table.from_batches(batches).select(["all", "late"]).equals(TABLE.select(["all", "late"]))
    )


def test_a_reader_that_stops_early_does_not_block(tmp_path: Path) -> None:
    with written(tmp_path / "a.parquet", TABLE) as file:
        batches = batches_ahead(file, ["all"], 1)
        assert next(batches).num_rows == 1
        batches.close()  # type: ignore[attr-defined]
