from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.csv_reader import CsvTripReader
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import columns
from taxi_platform.trips.statistics import TripStatistics
from taxi_platform.trips.synthetic import write_synthetic_month

MONTH = TripMonth.from_key("yellow|2021-01")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statistics") / "yellow_tripdata_2021-01.csv.gz"
    write_synthetic_month(MONTH, path, rows=20_000)
    return path


def cleaned(path: Path) -> tuple[TripStatistics, pa.Table]:
    trips = clean_trips(path, MONTH)
    kept = pa.Table.from_batches([batch.kept for batch in trips])
    return trips.summary.statistics, kept


def test_statistics_equal_those_of_a_database(published: Path) -> None:
    found, kept = cleaned(published)
    assert found.rows == kept.num_rows
    with duckdb.connect() as connection:
        connection.register("kept", kept)
        days = connection.execute("SELECT pickup_datetime::DATE, count(*) FROM kept GROUP BY 1")
        assert found.rows_by_day == dict(days.fetchall())
        for column in columns("yellow")[:-1]:
            row = connection.execute(
                f'SELECT count(*) - count("{column.name}"), min("{column.name}"), '
                f'max("{column.name}") FROM kept'
            ).fetchone()
            assert row is not None
            nulls, least, greatest = row
            assert found.nulls.get(column.name, 0) == nulls, column.name
            assert found.minimum.get(column.name) == least, column.name
            assert found.maximum.get(column.name) == greatest, column.name
        for name, cents in found.cents.items():
            total = connection.execute(f"SELECT sum({name}::DECIMAL(18, 2)) FROM kept").fetchone()
            assert total is not None
            assert cents == total[0] * 100, name


@pytest.mark.slow
@pytest.mark.parametrize("block_bytes", [3_000, 50_000])
def test_statistics_do_not_depend_on_the_block_size(
    published: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = cleaned(published)
    opened = CsvTripReader.__init__

    def in_small_blocks(self: CsvTripReader, path: Path, color: str, **chosen: Any) -> None:
        opened(self, path, color, block_bytes=block_bytes, **chosen)

    monkeypatch.setattr(CsvTripReader, "__init__", in_small_blocks)
    assert cleaned(published)[0] == whole


def test_negative_sums_are_merged_too() -> None:
    a = TripStatistics(cents=TripStatistics().cents.copy())
    a.cents["fare_amount"] = 100
    b = TripStatistics()
    b.cents["fare_amount"] = -250
    a.add(b)
    assert a.cents["fare_amount"] == -150


def test_to_json_returns_json_types_only() -> None:
    statistics = TripStatistics(
        rows=1,
        minimum={"pickup_datetime": datetime(2021, 1, 1, 12)},  # noqa: DTZ001
    )
    statistics.rows_by_day[date(2021, 1, 1)] = 1
    statistics.cents["total_amount"] = 1230
    assert statistics.to_json() == {
        "rows": 1,
        "rows_by_day": {"2021-01-01": 1},
        "nulls": {},
        "minimum": {"pickup_datetime": "2021-01-01 12:00:00"},
        "maximum": {},
        "cents": {"total_amount": 1230},
    }
