from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.expectations import EXPECTATIONS, Severity, Verdict
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.trips.published import HEADER, trip, write_csv

FEBRUARY = TripMonth.from_key("green|2024-02")


class February:
    """Creates a good month, and files of rejected rows for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, days: int = 29, rows_in_rejects: int = 50, **changed: Any) -> TripParquet:
        rejects = self.folder / "rejects.parquet"
        pq.write_table(pa.table({"line_number": range(rows_in_rejects)}), rejects)
        return replace(sound(days), rejects_path=rejects, **changed)


@pytest.fixture
def february(tmp_path: Path) -> February:
    return February(tmp_path)


def sound(days: int) -> TripParquet:
    first = date(2024, 2, 1)
    by_day = {(first + timedelta(n)).isoformat(): 100 for n in range(days)}
    return TripParquet(
        month=FEBRUARY,
        path=Path("never read"),
        rejects_path=Path("not there"),
        size=1,
        rows_read=2_950,
        rows=2_900,
        rejected_by_reason={"zero_passengers": 45, "unparseable": 5},
        max_rejected_share=0.05,
        statistics={"rows": 2_900, "rows_by_day": by_day, "nulls": {"passenger_count": 7}},
        source_sha256=None,
        duplicate_rows=0,
    )


def judge(name: str, month: TripParquet) -> Verdict:
    return next(e for e in EXPECTATIONS if e.name == name).judge(month)


def test_a_good_month_meets_every_expectation(february: February) -> None:
    assert all(e.judge(february()).holds for e in EXPECTATIONS)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("congestion_surcharge", {"congestion_surcharge"}),
        ("trip_type", {"trip_type"}),
        ("VendorID", {"vendor_id"}),
    ],
)
def test_a_header_that_lacks_a_name_blocks_the_month_until_it_is_accepted(
    tmp_path: Path, header: str, columns: set[str]
) -> None:
    """The columns after a name that is lost in the middle are shifted."""
    if header == "VendorID":
        with pytest.raises(TripFileError, match="no column for vendor_id"):
            load(tmp_path, header, CleaningOptions())
        return
    verdict = judge("columns_named", load(tmp_path, header, CleaningOptions()))
    assert not verdict.holds
    assert verdict.facts["nameless_fields"] == ["field 20"]
    assert "set missing_columns" in verdict.facts["to_accept_it"]
    options = CleaningOptions(missing_columns=tuple(columns))
    assert judge("columns_named", load(tmp_path, header, options)).holds


def load(folder: Path, lost_name: str, options: CleaningOptions) -> TripParquet:
    names = [name for name in HEADER.split(",") if name != lost_name]
    path = write_csv(folder / "green_tripdata_2020-01.csv", [trip()] * 5, header=",".join(names))
    return LandingZone(folder).write_cleaned(clean_trips(path, options=options))


@pytest.mark.parametrize(
    "changed",
    [
        {"rows_read": 2_951},
        {"rows": 2_899},
        {"rows_in_rejects": 49},
        {"rejected_by_reason": {"zero_passengers": 49}},
    ],
)
def test_a_lost_row_is_detected_wherever_it_was_lost(
    february: February, changed: dict[str, Any]
) -> None:
    assert not judge("rows_conserved", february(**changed)).holds


def test_the_rejected_share_is_limited_and_reported_by_reason(february: February) -> None:
    verdict = judge("rejected_share_under_limit", february())
    assert verdict.holds
    assert verdict.facts["share_by_reason"]["zero_passengers"] == 45 / 2_950
    assert not judge("rejected_share_under_limit", february(max_rejected_share=0.01)).holds


def test_missing_days_are_listed_and_only_a_few_are_allowed(february: February) -> None:
    few = judge("days_present", february(days=27))
    assert few.holds
    assert few.facts["missing_days"] == ["2024-02-28", "2024-02-29"]
    assert not judge("days_present", february(days=26)).holds


def test_missing_days_do_not_block_a_small_month(february: February) -> None:
    assert judge("days_present", february(days=1, rows=999)).holds


def test_a_never_null_column_must_have_no_nulls(february: February) -> None:
    nulls = {"rows": 2_900, "rows_by_day": {}, "nulls": {"total_amount": 1}}
    verdict = judge("required_columns_not_null", february(statistics=nulls))
    assert not verdict.holds
    assert verdict.facts["nulls"]["total_amount"] == 1
    assert "passenger_count" not in verdict.facts["nulls"]


def test_an_unreadable_rejects_file_is_an_error() -> None:
    with pytest.raises(PermanentStoreError, match=r"green\|2024-02: not there cannot be read"):
        judge("rows_conserved", sound(29))


def test_duplicate_rows_are_a_warning_and_do_not_block(february: February) -> None:
    assert judge("no_duplicate_rows", february(duplicate_rows=0)).holds
    not_counted = judge("no_duplicate_rows", february(duplicate_rows=None))
    assert not_counted.facts == {"not_counted": True}
    assert not not_counted.holds
    verdict = judge("no_duplicate_rows", february(duplicate_rows=29))
    assert not verdict.holds
    assert verdict.facts == {"duplicate_rows": 29, "share": 0.01}
    warning = [e.name for e in EXPECTATIONS if e.severity is Severity.WARNING]
    assert warning == ["no_duplicate_rows"]
