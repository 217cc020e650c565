"""Files that a server packs unasked, or that are packed once more as they are published."""

import gzip

import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.download import land
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.cleaning import clean_trips
from taxi_platform_tests.months import GREEN, YELLOW_CSV
from taxi_platform_tests.sources.publisher import Publisher


@pytest.mark.parametrize("ending", ["parquet", "parquet.gz"])
def test_gzip_around_parquet_lands_as_it_comes_and_is_read(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, ending: str
) -> None:
    packed = gzip.compress(green_parquet)
    publisher.publish(f"green.{ending}", packed, headers={"Content-Encoding": "gzip"})
    template = f"{publisher.url}/{{color}}.{ending}?{{month}}"
    publisher.files[f"/green.{ending}?2024-01"] = publisher.files[f"/green.{ending}"]
    raw, _ = land(source_of(SourceTemplate(template)), GREEN, landing)
    assert raw.path.read_bytes() == packed
    assert raw.path.name.endswith(f".{ending}")
    trips = clean_trips(raw.path, GREEN)
    assert sum(b.kept.num_rows + b.rejected.num_rows for b in trips) == 2_000


def test_a_gzipped_csv_may_be_gzipped_on_its_way_too(
    publisher: Publisher, landing: LandingZone, yellow_csv_gz: bytes
) -> None:
    body = gzip.compress(yellow_csv_gz)
    publisher.publish(f"{YELLOW_CSV.stem}.csv.gz", body, headers={"Content-Encoding": "gzip"})
    template = publisher.template.replace(".parquet", ".csv.gz")
    raw, _ = land(source_of(SourceTemplate(template)), YELLOW_CSV, landing)
    trips = clean_trips(raw.path, YELLOW_CSV)
    assert sum(b.kept.num_rows + b.rejected.num_rows for b in trips) == 2_000


def test_any_other_coding_is_refused_by_its_name(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet, headers={"Content-Encoding": "br"})
    with pytest.raises(PermanentStoreError, match="is sent with Content-Encoding: br"):
        land(source_of(SourceTemplate(publisher.template)), GREEN, landing)
    assert not list(landing.root.rglob("*.parquet"))
