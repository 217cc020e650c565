"""Blocks are cleaned in parallel: their order, their number, and what is closed afterwards."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taxi_platform.trips.blocks import BlockReader, ParsedBlock
from taxi_platform.trips.cleaning import CleanedTrips, clean_trips
from taxi_platform.trips.csv_reader import BLOCK_BYTES, CsvTripReader
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.ordered_map import MAX_PENDING
from taxi_platform_tests.trips.published import (
    GREEN,
    LENIENT,
    clean_csv,
    collect,
    numbered,
    trip,
    write_csv,
)

BLOCK_SIZES = pytest.mark.parametrize("block_bytes", [1, 200, 1000, 1 << 20])


class WatchedReader:
    """A reader that measures how many blocks it is ahead of its consumer."""

    def __init__(self, reader: BlockReader) -> None:
        self.color, self.columns = reader.color, reader.columns
        self.read = 0
        self.taken = 0
        self.furthest = 0
        self.closed = False
        self._reader = reader

    def raw_blocks(self) -> Iterator[Any]:
        for raw in self._reader.raw_blocks():
            self.read += 1
            self.furthest = max(self.furthest, self.read - self.taken)
            yield raw

    def parse(self, raw: Any) -> ParsedBlock:
        return self._reader.parse(raw)

    def close(self) -> None:
        self.closed = True
        self._reader.close()


@pytest.fixture
def watched(tmp_path: Path) -> WatchedReader:
    path = write_csv(tmp_path / "g.csv.gz", numbered(400))
    return WatchedReader(CsvTripReader(path, "green", block_bytes=100))


@pytest.mark.slow
def test_pending_blocks_are_limited_however_slow_the_caller(
    watched: WatchedReader,
) -> None:
    for _ in CleanedTrips(watched, GREEN, LENIENT, "g", None):
        watched.taken += 1

    assert watched.read == watched.taken == 400
    assert watched.furthest <= MAX_PENDING
    assert watched.closed


def cleaning_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("clean")]


def test_stopping_early_stops_every_thread_and_closes_the_file(watched: WatchedReader) -> None:
    for _ in CleanedTrips(watched, GREEN, LENIENT, "g", None):
        assert cleaning_threads()
        break

    assert cleaning_threads() == []
    assert watched.closed
    assert watched.read <= MAX_PENDING


def test_a_refused_file_leaves_no_thread_and_no_open_file(
    watched: WatchedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(raw: Any) -> ParsedBlock:
        raise TripFileError("damaged")

    monkeypatch.setattr(watched, "parse", broken)

    with pytest.raises(TripFileError, match="damaged"):
        list(CleanedTrips(watched, GREEN, LENIENT, "g", None))

    assert cleaning_threads() == []
    assert watched.closed


@BLOCK_SIZES
def test_a_truncated_file_fails_and_is_not_read_as_a_shorter_one(
    tmp_path: Path, block_bytes: int
) -> None:
    rows = [trip(trip_distance=f"{n * n % 9973}.{n % 89}") for n in range(2000)]
    path = write_csv(tmp_path / "g.csv.gz", rows)
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(TripFileError, match="damaged or truncated gzip file"):
        clean_csv(path, block_bytes)
    assert cleaning_threads() == []


def test_a_file_whose_month_cannot_be_detected_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "green.csv", [trip(lpep_pickup_datetime="")])
    closed: list[str] = []
    close = CsvTripReader.close

    def noted(reader: CsvTripReader) -> None:
        closed.append(reader.color)
        close(reader)

    monkeypatch.setattr(CsvTripReader, "close", noted)

    with pytest.raises(TripFileError, match="neither its name nor its pickups show the month"):
        clean_trips(path)

    assert closed == ["green", "green"]


def test_blocks_keep_file_order_whatever_order_they_finish_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "g.csv", numbered(60))
    reader = CsvTripReader(path, "green", block_bytes=100)
    second_is_done = threading.Event()
    parse = reader.parse

    def first_waits(raw: Any) -> ParsedBlock:
        if raw.first_line == 2:
            assert second_is_done.wait(10)
        elif raw.first_line == 3:
            second_is_done.set()
        return parse(raw)

    monkeypatch.setattr(reader, "parse", first_waits)

    cleaned = collect(CleanedTrips(reader, GREEN, LENIENT, "g", None))

    assert cleaned.kept["trip_distance"].to_pylist() == [float(n) for n in range(60)]


def test_blocks_have_the_default_size(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "green_tripdata_2020-01.csv", numbered(20_000))
    size = path.stat().st_size

    batches = list(clean_trips(path))

    assert len(batches) == -(-size // BLOCK_BYTES)
