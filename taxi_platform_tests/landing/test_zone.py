import hashlib
import io
import math
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import atomic_paths, unlocked
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.errors import TooManyRejectedError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema
from taxi_platform_tests.months import GREEN, cleaned_month


def test_a_cleaned_file_contains_its_summary(landing: LandingZone) -> None:
    trips = cleaned_month(landing, GREEN, 3_000)
    assert trips.rows_read == 3_000 == trips.rows + trips.rows_rejected
    kept = pq.read_table(trips.path)
    assert kept.schema.equals(trip_schema("green"))
    assert kept.num_rows == trips.rows
    assert round(sum(kept["total_amount"].to_pylist()) * 100) == trips.total_cents
    assert pq.read_table(trips.rejects_path).num_rows == trips.rows_rejected
    assert trips.source_sha256 == landing.find_raw(GREEN).sha256


def test_all_null_columns_are_detected(landing: LandingZone) -> None:
    trips = cleaned_month(landing, GREEN, 1_000)
    kept = pq.read_table(trips.path)
    filled = [name for name in kept.schema.names if kept[name].null_count < kept.num_rows]
    assert trips.columns_with_values == filled
    assert "cbd_congestion_fee" not in filled
    nothing = landing.write_cleaned(
        clean_trips(
            landing.find_raw(GREEN).path,
            TripMonth.from_key("green|2015-01"),
            CleaningOptions(max_rejected_share=1),
        )
    )
    assert nothing.columns_with_values == kept.schema.names


def test_the_same_source_gives_the_same_bytes(landing: LandingZone) -> None:
    first = cleaned_month(landing, GREEN, 3_000).path.read_bytes()
    assert cleaned_month(landing, GREEN, 3_000).path.read_bytes() == first


def test_a_month_whose_rows_are_all_rejected_has_a_complete_summary(
    landing: LandingZone,
) -> None:
    cleaned_month(landing, GREEN, 500)
    elsewhere = TripMonth.from_key("green|2015-01")
    trips = landing.write_cleaned(
        clean_trips(landing.find_raw(GREEN).path, elsewhere, CleaningOptions(max_rejected_share=1))
    )
    assert (trips.rows, trips.rows_rejected) == (0, 500)
    assert trips.total_cents == 0


def test_a_refused_month_leaves_both_files_unchanged(landing: LandingZone) -> None:
    before = cleaned_month(landing, GREEN, 3_000)
    files = {p: p.read_bytes() for p in landing.root.rglob("*.parquet")}
    raw = landing.find_raw(GREEN)
    with pytest.raises(TooManyRejectedError):
        landing.write_cleaned(clean_trips(raw.path, GREEN, CleaningOptions(max_rejected_share=0)))
    assert {p: p.read_bytes() for p in files} == files
    assert landing.find_cleaned(GREEN) == before
    assert not list(landing.root.rglob("*.partial"))


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def write_half() -> None:
        with atomic_paths(target) as (partial,):
            partial.write_text("ha")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_the_partial_file_of_a_killed_run_is_overwritten_and_never_published(
    tmp_path: Path,
) -> None:
    target = tmp_path / "file"
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from taxi_platform.landing.atomic_files import atomic_paths, unlocked\n"
        "with atomic_paths(Path(sys.argv[1])) as (partial,):\n"
        "    partial.write_text('a long half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, target], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [left.name for left in unlocked(tmp_path.rglob("*.partial"))] == [".file.partial"]
    with atomic_paths(target) as (partial,):
        assert list(unlocked(tmp_path.rglob("*.partial"))) == []
        partial.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "whole"


def test_concurrent_writers_of_a_file_take_turns(tmp_path: Path) -> None:
    target = tmp_path / "file"
    writing = threading.Lock()

    def write(text: str) -> None:
        for _ in range(20):
            with atomic_paths(target) as (partial,):
                assert writing.acquire(blocking=False), "two writers at once"
                partial.write_text(text)
                writing.release()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, "abcd"))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert target.read_text() in "abcd"


def test_a_missing_file_names_the_asset_to_materialize(landing: LandingZone) -> None:
    with pytest.raises(PermanentStoreError, match=r"green\|2024-01.*materialize raw_trips"):
        landing.find_raw(GREEN)
    with pytest.raises(PermanentStoreError, match=r"green\|2024-01.*materialize cleaned_trips"):
        landing.find_cleaned(GREEN)


def test_a_file_that_is_not_a_cleaned_file_is_refused(landing: LandingZone) -> None:
    path = landing.cleaned_path(GREEN)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not parquet at all")
    with pytest.raises(PermanentStoreError, match="not a cleaned file of this platform"):
        landing.find_cleaned(GREEN)


WITHOUT_PANDAS = """
import sys
from pathlib import Path
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import clean_trips

assert "pandas" not in sys.modules
for path in map(Path, sys.argv[2:]):
    trips = LandingZone(Path(sys.argv[1])).write_cleaned(clean_trips(path))
    assert trips.rows and trips.rejected_by_reason["unparseable"] == 1, trips.rejected_by_reason
    assert "pandas" not in sys.modules, path
"""


def test_cleaning_does_not_import_pandas(
    tmp_path: Path, yellow_csv: bytes, green_parquet: bytes
) -> None:
    """Pyarrow imports pandas easily; the import takes as long as cleaning a million rows."""
    csv = tmp_path / "yellow_tripdata_2021-01.csv"
    csv.write_bytes(yellow_csv + b"no trip\n")
    parquet = tmp_path / "green_tripdata_2024-01.parquet"
    table = pq.read_table(io.BytesIO(green_parquet))
    at = table.schema.get_field_index("fare_amount")
    fares = [math.inf, *table["fare_amount"].to_pylist()[1:]]
    pq.write_table(table.set_column(at, "fare_amount", pa.array(fares)), parquet)

    subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS, str(tmp_path / "zone"), str(csv), str(parquet)],
        check=True,
    )


def test_the_checksum_is_of_the_current_bytes_however_soon_a_file_is_replaced(
    landing: LandingZone, yellow_csv: bytes
) -> None:
    for content in (yellow_csv, yellow_csv[:-1] + b"9", yellow_csv[:-1] + b"8"):
        with landing.raw_partial(GREEN) as partial:
            partial.write_bytes(content)
            landed = landing.publish_raw(GREEN, ".csv", partial)
        expected = hashlib.sha256(content).hexdigest()
        assert landed.sha256 == landing.find_raw(GREEN).sha256 == expected
