"""Which months' last runs failed, whatever their assets say."""

import pytest
from dagster import AssetCheckResult, AssetKey, DagsterInstance, Definitions, asset, asset_check

from taxi_platform.assets.keys import RAW
from taxi_platform.automation.months import MonthRecords
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth

MONTH = TripMonth.from_key("green|2024-01")


@asset(partitions_def=trip_partitions())
def raw_trips() -> None:
    pass


@asset_check(asset=raw_trips)
def refuses() -> AssetCheckResult:
    raise ValueError("no")


@asset(partitions_def=trip_partitions())
def tips() -> None:
    raise ValueError("no")


@pytest.mark.slow
def test_a_month_failed_if_the_last_run_of_its_trips_did() -> None:
    with DagsterInstance.ephemeral() as instance:
        records = MonthRecords(instance, load_settings())

        def failed_after(chosen: Definitions, selection: list[AssetKey] | None = None) -> bool:
            job = chosen.resolve_implicit_global_asset_job_def()
            job.execute_in_process(
                instance=instance,
                partition_key=MONTH.key,
                asset_selection=selection,
                raise_on_error=False,
            )
            other = TripMonth.from_key("green|2024-02")
            failed = records.last_run_failed([MONTH, other])
            assert other not in failed
            return MONTH in failed

        fine = Definitions([raw_trips, tips])
        assert not failed_after(fine, [RAW])
        # The same run materialized its asset, which did not fail therefore.
        assert failed_after(Definitions([raw_trips], asset_checks=[refuses]))
        assert not failed_after(fine, [RAW])
        assert not failed_after(fine, [AssetKey("tips")]), "an asset of a user's"
