"""Small synthetic months, published, landed and cleaned, and a server that publishes them.

The fixtures are for every folder of tests: ``conftest.py`` beside this file makes them known.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

GREEN = TripMonth.from_key("green|2024-01")
YELLOW_CSV = TripMonth.from_key("yellow|2021-01")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


@pytest.fixture(scope="session")
def green_parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("published") / "green.parquet"
    write_synthetic_month(GREEN, path, rows=2_000)
    return path.read_bytes()


@pytest.fixture(scope="session")
def yellow_csv_gz(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("published") / "yellow.csv.gz"
    write_synthetic_month(YELLOW_CSV, path, rows=2_000)
    return path.read_bytes()


@pytest.fixture(scope="session")
def yellow_csv(yellow_csv_gz: bytes) -> bytes:
    return gzip.decompress(yellow_csv_gz)


def cleaned_month(landing: LandingZone, month: TripMonth, rows: int) -> TripParquet:
    """A synthetic month, landed and cleaned, whatever of it was there before."""
    accepting = CleaningOptions(accept_replacement=True)
    with landing.raw_partial(month) as partial:
        write_synthetic_month(month, partial, rows)
        raw = landing.publish_raw(month, ".parquet", partial)
    return landing.write_cleaned(clean_trips(raw.path, month, accepting, source_sha256=raw.sha256))
