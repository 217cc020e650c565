"""Duplicate rows are counted exactly, whatever their number."""

import errno
import io
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips import duplicates
from taxi_platform.trips.duplicates import DuplicateCounter, PartedHashes
from taxi_platform.trips.ordered_map import cpu_threads
from taxi_platform.trips.row_hashes import row_hashes
from taxi_platform_tests.trips.published import (
    bounded,
    clean_csv,
    numbered,
    write_csv,
)

SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us")),
        ("code", pa.int16()),
        ("seconds", pa.int32()),
        ("amount", pa.float64()),
        ("other", pa.float64()),
        ("letter", pa.string()),
        ("text", pa.string()),
    ]
)
ROW = st.tuples(
    st.sampled_from([None, 0, 10**15, 10**15 + 1]),
    st.sampled_from([None, 0, 1, -1, 256]),
    st.sampled_from([None, 0, 1, 65_536]),
    st.sampled_from([None, 0.0, 8.5, -8.5, 8.7, -8.7]),
    st.sampled_from([None, 0.0, 8.5, -8.5, 8.7, -8.7]),
    st.sampled_from([None, "N", "Y"]),
    st.sampled_from([None, "", "B02764", "B02765", "a longer one", "\u00e9"]),
)


def batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA
    )


def count(counter: DuplicateCounter) -> int | None:
    with cpu_threads() as pool:
        return counter.count(pool)


@bounded
@given(rows=st.lists(ROW, max_size=200), cut=st.integers(0, 200))
def test_duplicates_are_counted_whatever_the_block_size(
    rows: list[tuple[Any, ...]], cut: int
) -> None:
    counter = DuplicateCounter()
    for part in (rows[:cut], rows[cut:]):
        counter.add(PartedHashes.of(row_hashes(batch(part))))
    assert count(counter) == sum(n - 1 for n in Counter(rows).values())
    counter.close()


def test_a_reversal_is_not_a_duplicate_of_its_trip() -> None:
    rows: list[tuple[Any, ...]] = [
        (1, 1, 1, sign * amount, sign * 2.5, "N", "")
        for amount in (0.0, 3.5, 8.7)
        for sign in (1, -1)
    ]
    assert len(set(row_hashes(batch(rows)).tolist())) == 6


@pytest.mark.parametrize("at_once", [16, 1 << 15])
def test_hashes_of_many_rows_are_counted_exactly(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(duplicates, "HASHES_AT_A_TIME", at_once)
    random = np.random.default_rng(1)
    hashes = random.integers(0, 2**64, 30_000, dtype=np.uint64)
    again = hashes[random.integers(0, 30_000, 5_000)]
    counter = DuplicateCounter()
    for part in (hashes[:7], hashes[7:20_000], hashes[20_000:], again, hashes[:0]):
        counter.add(PartedHashes.of(part))
    assert count(counter) == 5_000
    counter.close()


@pytest.mark.slow
def test_the_hashes_of_a_long_file_are_not_kept_in_memory() -> None:
    random = np.random.default_rng(1)
    counter = DuplicateCounter()
    tracemalloc.start()
    for _ in range(400):
        counter.add(PartedHashes.of(random.integers(0, 2**64, 32_768, dtype=np.uint64)))
    count(counter)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    counter.close()
    assert peak < 400 * 32_768 * 8 / 10


class _FullFile(io.BytesIO):
    def write(self, _data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class _NearlyFullFile(io.BytesIO):
    def write(self, data: Any) -> int:
        return super().write(bytes(data)[:8])


def _no_file(**_: Any) -> io.BytesIO:
    raise FileNotFoundError("no usable temporary directory")


@pytest.mark.parametrize("opened", [_FullFile, _NearlyFullFile, _no_file])
def test_a_full_disk_stops_counting_but_not_cleaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., io.BytesIO]
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: opened())
    cleaned = clean_csv(write_csv(tmp_path / "g.csv", numbered(5)))
    assert cleaned.summary.rows_kept == 5
    assert cleaned.summary.duplicate_rows is None
    assert cleaned.summary.warnings == [
        "duplicate rows were not counted: no disk space for a temporary file"
    ]
