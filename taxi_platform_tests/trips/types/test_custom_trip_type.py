"""A trip type defined in one file works everywhere, without any other change."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_platform.landing.download import land
from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform.landing.files import RawFile
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.blocks import reject_schema
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.documentation import data_page
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.schema import chosen_schema, color_of_header, columns, trip_schema
from taxi_platform.trips.types import registered
from taxi_platform_tests.trips.published import Cleaned, collect
from taxi_platform_tests.trips.types.shuttle import SHUTTLE

HEADER = "Shuttle_Line,Departed,Arrived,Stop,Riders,Fares,Subsidy"
LINES = [
    "r,2024-05-01 08:00:00,2024-05-01 08:20:00,7,12,30.10,12.25",
    "blue,2024-05-02 08:00:00,2024-05-02 08:20:00,7,,0.20,12.25",
    "red,,2024-05-02 08:20:00,7,1,1.00,12.25",
    "red,2024-05-03 08:00:00,2024-05-03 07:59:59,7,1,2.00,12.25",
    "red,2024-04-01 08:00:00,2024-04-01 08:20:00,7,1,4.00,12.25",
    "red,2024-05-04 08:00:00,2024-05-04 08:20:00,seven,1,8.00,12.25",
]
REASONS = ["never_departed", "arrived_too_soon", "departed_outside_month", "unparseable"]


@pytest.fixture(autouse=True)
def _shuttles() -> Iterator[None]:
    with registered(SHUTTLE):
        yield


@pytest.fixture
def month() -> TripMonth:
    return TripMonth.from_key("shuttle|2024-05")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "shuttle_tripdata_2024-05.csv"
    path.write_text("\n".join([HEADER, *LINES, ""]))
    return path


def clean(path: Path, options: CleaningOptions | None = None) -> Cleaned:
    return collect(
        clean_trips(path, options=replace(options or CleaningOptions(), max_rejected_share=1))
    )


def test_its_key_and_its_file_name_are_parsed(month: TripMonth) -> None:
    assert month == TripMonth("shuttle", date(2024, 5, 1))
    assert month.key == "shuttle|2024-05"
    assert month.stem == "shuttle_tripdata_2024-05"
    assert parse_file_name(f"{month.stem}.parquet") == ("shuttle", date(2024, 5, 1))


def test_its_header_and_columns_are_detected() -> None:
    assert color_of_header(HEADER.split(",")) == "shuttle"
    assert [c.name for c in columns("shuttle")] == trip_schema("shuttle").names
    assert trip_schema("shuttle").names[-1] == "data_file_month"
    assert chosen_schema("shuttle", ["fares"]).names == ["fares"]
    assert reject_schema("shuttle").names[-3:] == ["reject_reasons", "line_number", "raw_text"]


def test_its_rows_are_cleaned_by_its_own_rules(published: Path) -> None:
    cleaned = clean(published)

    assert cleaned.kept.schema.equals(trip_schema("shuttle"), check_metadata=True)
    assert cleaned.kept["line"].to_pylist() == ["red", "blue"]
    assert cleaned.rejected.schema.equals(reject_schema("shuttle"), check_metadata=True)
    assert cleaned.reasons() == [[reason] for reason in REASONS]
    assert cleaned.rejected["raw_text"].to_pylist() == LINES[2:]


def test_missing_values_are_filled_in_its_own_columns_only(published: Path) -> None:
    kept = clean(published).kept

    assert kept["riders"].to_pylist() == [12, 0]
    assert kept["fares"].to_pylist() == [30.10, 0.20]


def test_its_statistics_and_sums_are_of_its_own_columns(published: Path) -> None:
    summary = clean(published).summary

    assert summary.statistics.rows_by_day == {date(2024, 5, 1): 1, date(2024, 5, 2): 1}
    assert summary.statistics.cents == {"fares": 3030, "subsidy": 2450}
    assert summary.statistics.maximum["arrived_at"] == datetime(2024, 5, 2, 8, 20)  # noqa: DTZ001
    assert summary.cents_rejected == {"fares": 1500, "subsidy": 4900}


def test_its_month_is_inferred_from_its_own_times(published: Path) -> None:
    unnamed = published.rename(published.with_name("trips.csv"))

    with closing(clean_trips(unnamed)) as trips:
        assert trips.month == TripMonth.from_key("shuttle|2024-05")


def test_its_rules_can_be_selected_and_those_of_others_are_refused(published: Path) -> None:
    chosen = clean(published, CleaningOptions(rules=("line_in_service",)))
    assert chosen.reasons() == [["line_closed"], ["unparseable"]]

    with pytest.raises(ValueError, match="shuttle trips have no rule named passengers_aboard; use"):
        clean(published, CleaningOptions(rules=("passengers_aboard",)))


def test_an_option_for_a_missing_column_is_refused_unless_it_has_no_effect(
    published: Path,
) -> None:
    clean(published, CleaningOptions(missing_passenger_count="zero"))

    with pytest.raises(ValueError, match="missing_passenger_count is 'keep', but shuttle trips"):
        clean(published, CleaningOptions(missing_passenger_count="keep"))


def test_its_file_is_refused_as_another_color(published: Path) -> None:
    with pytest.raises(TripFileError, match="is a shuttle trip file, expected a green one"):
        clean_trips(published, TripMonth.from_key("green|2024-05"))


def landed(month: TripMonth, landing: LandingZone) -> RawFile:
    raw, _ = land(source_of(SourceTemplate("synthetic")), month, landing)
    return raw


def test_its_synthetic_month_is_landed_cleaned_and_checked(
    month: TripMonth, landing: LandingZone
) -> None:
    raw = landed(month, landing)
    assert raw.path.name == "shuttle_tripdata_2024-05.csv.gz"

    trips = landing.write_cleaned(clean_trips(raw.path, month, source_sha256=raw.sha256))

    assert trips == landing.find_cleaned(month)
    assert trips.rows_read == 3_000 == trips.rows + trips.rows_in_rejects
    assert set(trips.rejected_by_reason) == {"never_departed", "arrived_too_soon"}
    verdicts = {expectation.name: expectation.judge(trips) for expectation in EXPECTATIONS}
    assert all(verdict.holds for verdict in verdicts.values())
    shares = verdicts["rejected_share_under_limit"].facts["share_by_reason"]
    assert set(shares) == {"unparseable", *(rule.reason for rule in SHUTTLE.rules)}
    assert set(verdicts["required_columns_not_null"].facts["nulls"]) == set(SHUTTLE.never_null)
    fares = pq.read_table(trips.path)["fares"].to_pylist()
    assert trips.total_cents == trips.totals.cents["fares"] == round(sum(fares) * 100)
    assert list(trips.totals.cents) == ["fares", "subsidy"]


def test_its_columns_define_the_encoding_of_its_files(
    month: TripMonth, landing: LandingZone
) -> None:
    trips = landing.write_cleaned(clean_trips(landed(month, landing).path, month))

    footer = pq.read_metadata(trips.path).row_group(0)
    chunks = {footer.column(n).path_in_schema: footer.column(n) for n in range(footer.num_columns)}
    sought = {name for name, chunk in chunks.items() if chunk.is_stats_set}
    packed = {name for name, chunk in chunks.items() if chunk.compression == "ZSTD"}
    assert sought == {"departed_at", "arrived_at", "stop_id"}
    assert packed == {"departed_at", "arrived_at"}


def test_examples_of_its_rejected_rows_are_shown(month: TripMonth, landing: LandingZone) -> None:
    landing.write_cleaned(clean_trips(landed(month, landing).path, month))

    examples = landing.reject_examples(month, 1)

    assert set(examples) == {"never_departed", "arrived_too_soon"}
    assert all(rows[0]["text"] for rows in examples.values())


def test_it_is_described_in_docs_data_md() -> None:
    page = data_page()

    assert "\n## Shuttles: `shuttle`\n" in page
    assert "| `stop_id` | int16 |" in page
    assert "| `departed` | `never_departed` | on | shuttle |" in page
