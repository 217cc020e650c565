"""What is loaded, from the records of a real instance."""

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import AssetMaterialization, DagsterInstance, TableMetadataValue, materialize

from taxi_platform.assets.keys import CLEANED, trip_keys
from taxi_platform.assets.loaded_months import (
    LoadedMonth,
    loaded_months,
    loaded_months_assets,
    trend,
)
from taxi_platform.io_managers.trends import sparkline
from taxi_platform.settings import Settings, load_settings
from taxi_platform.trips.month import TripMonth

JANUARY, FEBRUARY, MARCH = (TripMonth.from_key(f"green|2024-0{n}") for n in (1, 2, 3))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def chosen() -> Settings:
    return load_settings()


def record(
    instance: DagsterInstance,
    chosen: Settings,
    month: TripMonth,
    rows: int,
    source: str = "https://example.com/x",
    *,
    only: int = 10,
) -> None:
    """The events of a month's load, of its first assets only if it was not finished."""
    for key in list(trip_keys(chosen))[:only]:
        said: dict[str, Any] = {
            "rows_read": rows + 10,
            "dagster/row_count": rows,
            "total_amount": 2.5 * rows,
            "source": source,
        }
        event = AssetMaterialization(
            key, partition=month.key, metadata=said if key == CLEANED else {}
        )
        instance.report_runless_asset_event(event)


def test_a_bar_for_each_value() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇██"
    assert sparkline([None, 5, -5]) == "·█▁"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_month_counts_when_every_store_has_it_and_as_the_version_that_they_have(
    instance: DagsterInstance, chosen: Settings
) -> None:
    record(instance, chosen, FEBRUARY, 200, "synthetic:green")
    record(instance, chosen, JANUARY, 90)
    record(instance, chosen, JANUARY, 100)
    record(instance, chosen, JANUARY, 7, only=2)  # cleaned, and refused by a check
    record(instance, chosen, MARCH, 300, only=3)
    assert loaded_months(instance, chosen) == {
        JANUARY: LoadedMonth(100, 10, 250.0, is_synthetic=False),
        FEBRUARY: LoadedMonth(200, 10, 500.0, is_synthetic=True),
    }


def test_what_the_page_shows_needs_no_click(instance: DagsterInstance, chosen: Settings) -> None:
    for year in range(2015, 2025):
        for number in range(1, 13):
            month = TripMonth.from_key(f"yellow|{year}-{number:02}")
            record(instance, chosen, month, 3_000_000 + 1_000 * year)
    result = materialize(loaded_months_assets(chosen), instance=instance)
    (made,) = result.get_asset_materialization_events()
    said = {name: entry.value for name, entry in made.materialization.metadata.items()}
    assert said["months"] == 120
    assert said["rows"] == 12 * sum(3_000_000 + 1_000 * year for year in range(2015, 2025))
    assert said["green"] == "no month is loaded"
    shown = str(said["yellow"])
    assert len(shown) < 1_000  # the UI's limit
    assert "**120 months**; 2022-01 to 2024-12" in shown
    assert shown.count("█") >= 3
    every = made.materialization.metadata["every_month"]
    assert isinstance(every, TableMetadataValue)
    assert len(every.records) == 120


@pytest.mark.parametrize(("synthetic", "said"), [(True, ", synthetic"), (False, "")])
def test_one_month_alone_is_said_as_one(*, synthetic: bool, said: str) -> None:
    loaded = LoadedMonth(100, 0, None, is_synthetic=synthetic)
    assert trend({JANUARY: loaded}).splitlines()[0] == f"**1 month**{said}; 2024-01:"


def test_a_month_that_is_not_there_is_a_gap() -> None:
    loaded = LoadedMonth(100, 0, None, is_synthetic=True)
    assert trend({JANUARY: loaded, MARCH: loaded}).splitlines() == [
        "**2 months**, all of them synthetic; 2024-01 to 2024-03, the last:",
        "",
        "`█·█` rows: 100",
        "",
        "`▁·▁` rejected: 0.00%",
    ]
