"""Synthetic months are named as such, and do not pass for real ones."""

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import AssetMaterialization, DagsterInstance

from taxi_platform.assets.keys import RAW, trip_keys
from taxi_platform.assets.records import synthetic_months
from taxi_platform.automation.backfills import months_to_load
from taxi_platform.automation.calendar import MonthState, StoredMonths, month_statuses
from taxi_platform.automation.months import MonthRecords
from taxi_platform.cli.doctor import examine
from taxi_platform.settings import load_settings
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.month import TripMonth

REAL, SYNTHETIC, ABSENT = (TripMonth.from_key(f"green|2024-0{number}") for number in (1, 2, 3))
MONTHS = [REAL, SYNTHETIC, ABSENT]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def records_of(instance: DagsterInstance, source: str) -> MonthRecords:
    changed: dict[str, Any] = {"source_url": SourceTemplate(source)}
    return MonthRecords(instance, load_settings().model_copy(update=changed))


def load(records: MonthRecords, month: TripMonth, source: str) -> None:
    for key in trip_keys(records.chosen):
        metadata = {"source": source} if key == RAW else {}
        records.instance.report_runless_asset_event(
            AssetMaterialization(key, partition=month.key, metadata=metadata)
        )


def test_a_synthetic_month_is_missing_where_the_source_is_real(instance: DagsterInstance) -> None:
    records = records_of(instance, "tlc")
    load(records, REAL, "https://example.com/green_tripdata_2024-01.parquet")
    load(records, SYNTHETIC, "synthetic:green_tripdata_2024-02")
    assert records.missing(MONTHS) == [SYNTHETIC, ABSENT]
    assert months_to_load(records, MONTHS) == [SYNTHETIC, ABSENT]
    assert synthetic_months(records.instance, MONTHS) == {SYNTHETIC}
    # Who wants synthetic months has both.
    assert records_of(instance, "synthetic").missing(MONTHS) == [ABSENT]


def test_a_month_is_what_it_was_loaded_from_last(instance: DagsterInstance) -> None:
    records = records_of(instance, "tlc")
    load(records, SYNTHETIC, "synthetic:green_tripdata_2024-02")
    load(records, SYNTHETIC, "https://example.com/green_tripdata_2024-02.parquet")
    assert records.missing([SYNTHETIC]) == []
    assert synthetic_months(records.instance) == set()


def test_doctor_names_them_and_how_to_load_the_real_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with DagsterInstance.get() as instance:
        records = records_of(instance, "tlc")
        load(records, SYNTHETIC, "synthetic:green_tripdata_2024-02")
        assert "synthetic" in _said_of_dagster(monkeypatch, "tlc")
        assert "--from 2024-02 --to 2024-02 --missing-only" in _said_of_dagster(monkeypatch, "tlc")
        assert "--missing-only" not in _said_of_dagster(monkeypatch, "synthetic")
        load(records, SYNTHETIC, "https://example.com/green_tripdata_2024-02.parquet")
        assert "synthetic" not in _said_of_dagster(monkeypatch, "tlc")


def test_status_tells_them_from_loaded_ones(instance: DagsterInstance) -> None:
    records = records_of(instance, "tlc")
    load(records, REAL, "https://example.com/green_tripdata_2024-01.parquet")
    load(records, SYNTHETIC, "synthetic:green_tripdata_2024-02")
    stored = StoredMonths({store: {REAL, SYNTHETIC} for store in records.chosen.stores})
    found = month_statuses(records.chosen, ["green"], stored, records)
    states = {status.month: status.state for status in found}
    assert states[REAL] is MonthState.LOADED
    assert states[SYNTHETIC] is MonthState.SYNTHETIC
    assert states[ABSENT] is MonthState.MISSING


def _said_of_dagster(monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    monkeypatch.setenv("TAXI_SOURCE_URL", source)
    said = []
    for finding in examine():
        if finding.where == "landing zone":
            break
        said.append(finding.says)
    return "\n".join(said)
