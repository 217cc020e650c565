"""A version of a month that differs too much is stored separately and not loaded."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.comparisons import judge_beside_neighbors, judge_replacement
from taxi_platform.landing.download import land
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.months import GREEN, cleaned_month
from taxi_platform_tests.sources.publisher import Publisher


def loaded(zone: LandingZone) -> tuple[bytes, bytes]:
    return zone.cleaned_path(GREEN).read_bytes(), zone.rejected_path(GREEN).read_bytes()


def again(
    zone: LandingZone, rows: int, options: CleaningOptions | None = None, source: str | None = None
) -> TripParquet:
    """Republishes the month with another number of rows, and cleans it."""
    with zone.raw_partial(GREEN) as partial:
        write_synthetic_month(GREEN, partial, rows)
        raw = zone.publish_raw(GREEN, ".parquet", partial)
    return zone.write_cleaned(clean_trips(raw.path, GREEN, options, source=source))


def test_a_shrunken_month_does_not_replace_the_loaded_one(landing: LandingZone) -> None:
    cleaned_month(landing, GREEN, 6_000)
    before = loaded(landing)
    refused = again(landing, 90)
    assert loaded(landing) == before
    assert landing.find_unaccepted(GREEN) == refused
    assert refused.rows + refused.rows_in_rejects == 90
    verdict = judge_replacement(landing.find_versions(GREEN))
    assert not verdict.holds
    assert verdict.facts["differences"]
    assert verdict.facts["rows_loaded"] > 5_000 > 90 >= verdict.facts["rows_of_the_new_version"]
    assert "--accept-replacement" in verdict.facts["to_accept_it"]


def test_an_accepted_version_replaces_the_loaded_one_and_leaves_no_other_file(
    landing: LandingZone,
) -> None:
    cleaned_month(landing, GREEN, 6_000)
    again(landing, 90)
    accepted = again(landing, 90, CleaningOptions(accept_replacement=True))
    assert accepted == landing.find_cleaned(GREEN)
    assert landing.find_unaccepted(GREEN) is None
    assert [path for path in (landing.root / "unaccepted").rglob("*") if path.is_file()] == []
    assert judge_replacement(landing.find_versions(GREEN)).holds
    # The next version is compared with the one that is loaded now.
    assert again(landing, 95) == landing.find_cleaned(GREEN)


def test_a_good_version_removes_an_earlier_refused_one(landing: LandingZone) -> None:
    cleaned_month(landing, GREEN, 6_000)
    again(landing, 90)
    good = again(landing, 6_100)
    assert good == landing.find_cleaned(GREEN)
    assert landing.find_unaccepted(GREEN) is None


def test_a_real_month_is_not_compared_with_a_synthetic_one(landing: LandingZone) -> None:
    again(landing, 6_000, source="synthetic:green_tripdata_2024-01")
    real = again(landing, 900, source="https://host/green_tripdata_2024-01.parquet")
    assert real == landing.find_cleaned(GREEN)


@pytest.mark.parametrize("source", [None, "https://mirror/green_tripdata_2024-01.csv.gz"])
def test_the_same_month_from_another_address_is_compared(
    landing: LandingZone, source: str | None
) -> None:
    again(landing, 6_000, source="https://host/green_tripdata_2024-01.parquet")
    before = loaded(landing)
    again(landing, 900, source=source)
    assert loaded(landing) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_a_month_is_compared_even_if_its_kept_rows_are_missing_or_damaged(
    landing: LandingZone, damage: Callable[[Path], object]
) -> None:
    cleaned_month(landing, GREEN, 6_000)
    damage(landing.cleaned_path(GREEN))
    again(landing, 90)
    assert landing.find_unaccepted(GREEN) is not None
    assert landing.find_cleaned_or_none(GREEN) is None


def half_a_month(zone: LandingZone, options: CleaningOptions | None = None) -> TripParquet:
    with zone.raw_partial(GREEN) as partial:
        write_synthetic_month(GREEN, partial, 6_000)
        trips = pq.read_table(partial)
        days = pc.day(trips["lpep_pickup_datetime"])
        pq.write_table(trips.filter(pc.less(days, 15)), partial)
        raw = zone.publish_raw(GREEN, ".parquet", partial)
    return zone.write_cleaned(clean_trips(raw.path, GREEN, options))


def test_a_first_version_that_fails_an_expectation_is_not_accepted_and_does_not_block_a_better_one(
    landing: LandingZone,
) -> None:
    bad = half_a_month(landing)
    assert landing.find_unaccepted(GREEN) == bad
    with pytest.raises(PermanentStoreError, match="no cleaned file"):
        landing.find_cleaned(GREEN)  # the stores are loaded from this file
    assert landing.find_versions(GREEN).latest == bad
    good = again(landing, 6_000)
    assert good == landing.find_cleaned(GREEN)


def test_accepting_a_replacement_does_not_accept_a_failed_expectation(landing: LandingZone) -> None:
    cleaned_month(landing, GREEN, 6_000)
    before = loaded(landing)
    half_a_month(landing, CleaningOptions(accept_replacement=True))
    assert loaded(landing) == before
    assert judge_replacement(landing.find_versions(GREEN)).holds


def test_the_source_of_a_file_is_recorded_without_secrets(
    landing: LandingZone, publisher: Publisher, green_parquet: bytes
) -> None:
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet)
    address = publisher.template.replace("http://", "http://user:pw@") + "?sig=T0KEN"
    publisher.files[f"/{GREEN.stem}.parquet?sig=T0KEN"] = publisher.files[f"/{GREEN.stem}.parquet"]
    raw, _ = land(source_of(SourceTemplate(address)), GREEN, landing)
    assert raw.source == f"{publisher.url}/{GREEN.stem}.parquet"
    assert landing.find_raw(GREEN).source == raw.source


def test_a_file_without_rows_does_not_replace_the_good_one(
    landing: LandingZone, tmp_path: Path
) -> None:
    good = tmp_path / f"{GREEN.stem}.parquet"
    write_synthetic_month(GREEN, good, 500)
    template = f"file://{tmp_path}/{{color}}_tripdata_{{month}}.parquet"
    before, _ = land(source_of(SourceTemplate(template)), GREEN, landing)
    pq.write_table(pq.read_table(good).slice(0, 0), good)
    with pytest.raises(PermanentStoreError, match="has a header but no rows"):
        land(source_of(SourceTemplate(template)), GREEN, landing)
    assert landing.find_raw(GREEN).sha256 == before.sha256


def test_a_month_is_compared_with_its_neighbors(landing: LandingZone) -> None:
    for key, rows in (("green|2023-12", 5_000), ("green|2024-02", 5_200), ("green|2023-01", 4_800)):
        cleaned_month(landing, TripMonth.from_key(key), rows)
    cleaned_month(landing, GREEN, 5_000)
    assert judge_beside_neighbors(landing, landing.find_versions(GREEN)).holds
    other = TripMonth.from_key("green|2023-02")
    cleaned_month(landing, other, 400)
    verdict = judge_beside_neighbors(landing, landing.find_versions(other))
    assert not verdict.holds
    assert set(verdict.facts["rows_of_neighbors"]) == {"green|2023-01", "green|2024-02"}
