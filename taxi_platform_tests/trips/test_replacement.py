"""Which differences between a new version of a month and the loaded one are too large."""

from copy import deepcopy
from typing import Any

import pytest

from taxi_platform.trips.replacement import ReplacementLimits, differences, unlike_neighbors

LOADED: dict[str, Any] = {
    "rows": 60_000,
    "rows_by_day": {f"2024-01-{day:02}": 2_000 for day in range(1, 31)},
    "cents": {"total_amount": 120_000_000, "tip_amount": 12_000_000, "ehail_fee": 500},
    "nulls": {"payment_type": 3_000},
}


def changed(**changes: Any) -> dict[str, Any]:
    return deepcopy(LOADED) | changes


def compared(new: dict[str, Any], **limits: float) -> list[str]:
    return differences(LOADED, new, ReplacementLimits(**limits))


def scaled(factor: float) -> dict[str, Any]:
    return {
        "rows": int(LOADED["rows"] * factor),
        "rows_by_day": {day: int(n * factor) for day, n in LOADED["rows_by_day"].items()},
        "cents": {name: int(cents * factor) for name, cents in LOADED["cents"].items()},
        "nulls": {name: int(n * factor) for name, n in LOADED["nulls"].items()},
    }


@pytest.mark.parametrize("factor", [0.91, 1.0, 1.09])
def test_a_month_of_about_the_same_size_may_replace_the_loaded_one(factor: float) -> None:
    assert compared(scaled(factor)) == []


def test_a_shrunken_month_is_reported_with_both_figures() -> None:
    said = compared(scaled(0.015))
    assert said[0] == "900 rows instead of 60,000 (-98.5%, limit 10%)"
    assert said[1].startswith(
        "30 days lost more than 50% of their rows: 2024-01-01: 30 instead of 2,000"
    )
    assert said[1].endswith("and 25 more")


def test_a_doubled_month_is_reported() -> None:
    assert compared(scaled(2)) == ["120,000 rows instead of 60,000 (+100.0%, limit 10%)"]


def test_a_missing_day_is_reported() -> None:
    days = {day: n for day, n in LOADED["rows_by_day"].items() if day != "2024-01-07"}
    said = compared(changed(rows=58_000, rows_by_day=days))
    assert said == ["1 days lost more than 50% of their rows: 2024-01-07: 0 instead of 2,000"]


def test_a_halved_amount_is_reported_and_a_rare_fee_is_not() -> None:
    cents = {"total_amount": 120_000_000, "tip_amount": 6_000_000, "ehail_fee": 0}
    said = compared(changed(cents=cents))
    assert said == [
        "tip_amount adds up to 60,000.00 dollars instead of 120,000.00 (-50.0% a trip, limit 25%)"
    ]


def test_a_column_that_is_newly_missing_is_reported() -> None:
    said = compared(changed(nulls={"payment_type": 60_000}))
    assert said == ["payment_type is missing in 100.0% of the rows instead of 5.0%"]


def test_limits_can_be_changed() -> None:
    assert compared(scaled(0.8), rows=0.3) == []
    assert compared(scaled(0.95), rows=0.01)
    with pytest.raises(ValueError, match="must not be negative: day"):
        ReplacementLimits(day=-1)


def test_a_difference_of_a_few_rows_is_always_allowed() -> None:
    few = {"rows": 30, "rows_by_day": {"2024-01-01": 30}, "cents": {}, "nulls": {}}
    assert (
        differences(few, few | {"rows": 12, "rows_by_day": {"2024-01-01": 12}}, ReplacementLimits())
        == []
    )


def test_a_month_with_a_tenth_of_its_neighbors_rows_is_reported() -> None:
    neighbors = {"yellow|2019-01": 7_600_000, "yellow|2018-02": 8_400_000}
    assert unlike_neighbors(7_000_000, neighbors) is None
    said = unlike_neighbors(700_000, neighbors)
    assert said is not None
    assert "700,000 rows" in said
    assert "yellow|2018-02 8,400,000" in said
    assert unlike_neighbors(700_000, {}) is None
