"""A disk that is full while a month lands or is cleaned: the earlier files stay as they were."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taxi_platform_tests.faults.month_runs import publish, template
from taxi_platform_tests.faults.worker import Worker, workers
from taxi_platform_tests.sources.publisher import running_publisher

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MONTH = "yellow|2019-02"
RAW = "raw/yellow/yellow_tripdata_2019-02.csv.gz"
SOURCE = "raw/yellow/yellow_tripdata_2019-02.source.json"
CLEANED = "cleaned/yellow/yellow_tripdata_2019-02.parquet"
REJECTED = "rejected/yellow/yellow_tripdata_2019-02.parquet"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with workers(1) as (started,):
        yield started


class Months:
    """A landing zone, and runs over it in another process."""

    def __init__(self, worker: Worker, published: Path, data: Path) -> None:
        self._worker = worker
        self.published = published
        self.data = data
        self.source = template(published)

    def run(self, *assets: str, file_bytes: int | None = None) -> dict[str, Any]:
        environment = {
            "TAXI_ENV": "local",
            "TAXI_DATA_DIR": str(self.data),
            "TAXI_SOURCE_URL": self.source,
        }
        self._worker.send(MONTH, assets, environment, file_bytes)
        return self._worker.answer()

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in self.data.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def months(worker: Worker, tmp_path: Path) -> Months:
    return Months(worker, tmp_path / "published", tmp_path / "data")


def says_that_the_disk_is_full(answer: dict[str, Any], step: str) -> None:
    assert answer["retried"] == []
    assert list(answer["failures"]) == [step]
    said = answer["failures"][step]
    assert said.startswith(f"{MONTH}: "), said
    assert "is full: free some space or set TAXI_DATA_DIR to another disk" in said, said


def test_a_disk_that_fills_while_a_month_lands_leaves_the_earlier_file(months: Months) -> None:
    publish(months.published, MONTH, 500)
    assert months.run("raw_trips")["success"]
    before = months.files()
    publish(months.published, MONTH, 5_000)
    answer = months.run("raw_trips", file_bytes=20_000)
    says_that_the_disk_is_full(answer, "raw_trips")
    assert months.files() == before
    assert months.run("raw_trips")["success"]
    assert len(months.files()[RAW]) > 20_000


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_what_was_downloaded_before_the_disk_filled_is_kept_only_if_it_can_be_resumed(
    months: Months, etag: str | None
) -> None:
    publish(months.published, MONTH, 20_000)
    body = (months.published / Path(RAW).name).read_bytes()
    with running_publisher() as publisher:
        publisher.publish(Path(RAW).name, body, etag=etag)
        months.source = publisher.template.replace(".parquet", ".csv.gz")
        answer = months.run("raw_trips", file_bytes=20_000)
        says_that_the_disk_is_full(answer, "raw_trips")
        partial = "raw/yellow/.yellow_tripdata_2019-02.partial"
        assert set(months.files()) == ({partial, f"{partial}.json"} if etag else set())
        assert months.run("raw_trips")["success"]
    assert [name for name in publisher.asked[-1] if name == "Range"] == (["Range"] if etag else [])
    assert months.files().keys() == {RAW, SOURCE}
    assert months.files()[RAW] == body


LIMITS = {
    # Fewer than a row group, which is written when all rows have been read.
    "at the end of the cleaning": (6_000, 20_000),
    "in the middle of the cleaning": (200_000, 40_000),
}


@pytest.mark.parametrize("when", LIMITS)
def test_a_disk_that_fills_while_a_month_is_cleaned_leaves_both_earlier_files(
    months: Months, when: str
) -> None:
    rows, file_bytes = LIMITS[when]
    # Nearly as many rows: a month that grew much would be kept apart.
    publish(months.published, MONTH, rows - 50, without_passengers=5)
    assert months.run("raw_trips", "cleaned_trips")["success"]
    publish(months.published, MONTH, rows, without_passengers=50)
    assert months.run("raw_trips")["success"]
    before = months.files()
    answer = months.run("cleaned_trips", file_bytes=file_bytes)
    says_that_the_disk_is_full(answer, "cleaned_trips")
    assert months.files() == before
    assert months.run("cleaned_trips")["success"]
    after = months.files()
    assert len(after[REJECTED]) < file_bytes < len(after[CLEANED])
    assert after[REJECTED] != before[REJECTED]
    assert set(after) == set(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Writes a file until there is no room for more."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_file_system_is_reported_like_a_full_quota_and_its_files_are_kept(
    worker: Worker, tmp_path: Path, small_disk: Path
) -> None:
    months = Months(worker, tmp_path / "published", small_disk / "data")
    publish(months.published, MONTH, 500)
    assert months.run("raw_trips", "cleaned_trips")["success"]
    before = months.files()
    publish(months.published, MONTH, 60_000)
    says_that_the_disk_is_full(months.run("raw_trips"), "raw_trips")
    assert months.files() == before
    fill(small_disk / "others")
    assert shutil.disk_usage(small_disk).free == 0
    says_that_the_disk_is_full(months.run("cleaned_trips"), "cleaned_trips")
    assert months.files() == before
    (small_disk / "others").unlink()
    assert months.run("cleaned_trips")["success"]
