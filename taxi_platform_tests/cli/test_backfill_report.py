"""What `taxi-platform backfill` says of months that failed."""

import io
from pathlib import Path

import pytest
from dagster import DagsterInstance
from rich.console import Console

from taxi_platform.assets.keys import RAW
from taxi_platform.automation.backfills import MonthProgress, Progress
from taxi_platform.automation.months import MonthRecords
from taxi_platform.cli.backfill import report_progress
from taxi_platform.definitions import build_defs
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth


@pytest.mark.slow
def test_a_failed_month_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_SOURCE_URL", f"file://{tmp_path}/{{color}}_{{month}}.parquet")
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path))
    month = TripMonth.from_key("green|2022-02")
    job = build_defs(load_settings()).resolve_implicit_global_asset_job_def()
    said = io.StringIO()
    with DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=month.key,
            asset_selection=[RAW],
            raise_on_error=False,
        )
        records = MonthRecords(instance, load_settings())
        progress = {month: MonthProgress(Progress.FAILED, result.dagster_run)}
        assert report_progress(records, progress, Console(file=said)) == 1
    (line,) = [line for line in said.getvalue().splitlines() if "not published" in line]
    assert line.startswith("  green|2022-02: not published: ")
    assert line.count("green|2022-02") == 1
