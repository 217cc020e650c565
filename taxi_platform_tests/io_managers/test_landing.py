"""A step reads the version that was recorded, not the file that lies on its host.

Two hosts share Dagster's records, and each has a landing zone of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetMaterialization,
    AssetSelection,
    DagsterInstance,
    ExecuteInProcessResult,
    asset,
    materialize,
)

from taxi_platform.assets.trips import trip_assets
from taxi_platform.checks.cleaned import cleaned_checks
from taxi_platform.definitions import build_resources
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import Settings
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.faults.month_runs import failures
from taxi_platform_tests.months import GREEN

pytestmark = pytest.mark.slow

seen: list[int] = []


@asset(partitions_def=trip_partitions())
def reader(cleaned_trips: TripParquet) -> None:
    """As an asset of a store: it is handed the cleaned file."""
    seen.append(cleaned_trips.rows_read)


class Host:
    """A host with its own folder; all share the published months and Dagster's records."""

    def __init__(self, folder: Path, name: str, instance: DagsterInstance) -> None:
        self.published = folder / f"{GREEN.stem}.parquet"
        self.chosen = Settings(
            stores=("postgres",),
            data_dir=folder / name,
            source_url=SourceTemplate(f"file://{folder}/{{color}}_tripdata_{{month}}.parquet"),
        )
        self.zone = LandingZone(self.chosen.data_dir)
        self.instance = instance

    def publish(self, rows: int) -> None:
        write_synthetic_month(GREEN, self.published, rows)

    def run(self, *assets: str, rows: int | None = None) -> ExecuteInProcessResult:
        """Materializes assets, after a month of so many rows was published."""
        if rows is not None:
            self.publish(rows)
        seen.clear()
        return materialize(
            [*trip_assets(self.chosen), cleaned_checks(self.chosen), reader],
            selection=AssetSelection.assets(*assets).without_checks(),
            partition_key=GREEN.key,
            resources=build_resources(self.chosen),
            instance=self.instance,
            raise_on_error=False,
            run_config={"ops": {"cleaned_trips": {"config": {"accept_replacement": True}}}}
            if "cleaned_trips" in assets
            else None,
        )

    def check(self) -> ExecuteInProcessResult:
        """Runs the checks of the cleaned file, with an asset: alone they have no partitions."""
        other = asset(name="other", partitions_def=trip_partitions())(lambda: None)
        return materialize(
            [*trip_assets(self.chosen), cleaned_checks(self.chosen), other],
            selection=AssetSelection.checks_for_assets("cleaned_trips")
            | AssetSelection.assets("other"),
            partition_key=GREEN.key,
            resources=build_resources(self.chosen),
            instance=self.instance,
            raise_on_error=False,
        )


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def hosts(tmp_path: Path, instance: DagsterInstance) -> tuple[Host, Host]:
    return Host(tmp_path, "one", instance), Host(tmp_path, "two", instance)


def said(result: ExecuteInProcessResult) -> str:
    assert not result.success
    (message,) = set(failures(result).values())
    return message


def test_a_file_that_another_host_replaced_is_refused_by_name(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    assert one.run("raw_trips", "cleaned_trips", "reader", rows=1_200).success
    old = one.zone.find_cleaned(GREEN)
    made = two.run("raw_trips", "cleaned_trips", "reader", rows=900)
    assert made.success
    assert seen == [900]
    new = two.zone.find_cleaned(GREEN)

    message = said(one.run("reader"))
    assert seen == []
    for part in (GREEN.key, str(old.path), old.version, new.version, made.run_id[:8]):
        assert part in message
    assert "materialize cleaned_trips for this partition again" in message
    # The checks compare stores with this file, and would confirm the old month.
    assert old.version in said(one.check())
    assert two.check().success

    raw = said(one.run("cleaned_trips"))
    assert one.zone.find_raw(GREEN).version in raw
    assert two.zone.find_raw(GREEN).version in raw
    assert "materialize raw_trips for this partition again" in raw
    assert two.run("reader").success
    assert one.run("raw_trips", "cleaned_trips", "reader").success


def test_a_file_that_only_another_host_has_is_missed_by_name(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    made = one.run("raw_trips", "cleaned_trips", rows=700)
    for assets in (["reader"], ["cleaned_trips"]):
        message = said(two.run(*assets))
        assert GREEN.key in message
        assert f"run {made.run_id[:8]} recorded version" in message
        assert "made on another host" in message
    assert "made on another host" in said(two.check())


def test_a_month_without_a_record_is_read_as_it_lies(hosts: tuple[Host, Host]) -> None:
    one, _ = hosts
    assert one.run("raw_trips", "cleaned_trips", rows=700).success
    with DagsterInstance.ephemeral() as without_records:
        one.instance = without_records
        assert one.run("reader").success
    assert seen == [700]


def kept_apart(host: Host, rows: int) -> None:
    host.publish(rows)
    result = materialize(
        trip_assets(host.chosen),
        selection=["raw_trips", "cleaned_trips"],
        partition_key=GREEN.key,
        resources=build_resources(host.chosen),
        instance=host.instance,
    )
    assert result.success
    assert host.zone.find_unaccepted(GREEN)


def test_beside_a_version_that_is_kept_apart_the_one_in_place_is_read(
    hosts: tuple[Host, Host],
) -> None:
    one, two = hosts
    assert two.run("raw_trips", "cleaned_trips", rows=1_300).success
    assert one.run("raw_trips", "cleaned_trips", rows=6_000).success
    kept_apart(one, 900)
    assert one.run("reader").success
    assert seen == [6_000]
    assert not two.run("reader").success, "its file is older than the one in place"
    assert one.zone.find_cleaned(GREEN).version in said(two.run("reader"))


def test_a_file_is_not_read_if_the_only_recorded_version_is_kept_apart(
    hosts: tuple[Host, Host], tmp_path: Path
) -> None:
    one, two = hosts
    assert two.run("raw_trips", "cleaned_trips", rows=1_300).success
    with DagsterInstance.ephemeral() as other:
        one.instance = two.instance = other
        one.run("raw_trips", "cleaned_trips", rows=6_000)
        one.zone.cleaned_path(GREEN).unlink()
        other.wipe_assets([key for key in other.all_asset_keys() if key.path == ["cleaned_trips"]])
        kept_apart(one, 900)
        assert "kept apart" in said(two.run("reader"))


def test_records_of_earlier_versions_do_not_say_what_stayed_in_place(
    hosts: tuple[Host, Host],
) -> None:
    one, two = hosts
    assert one.run("raw_trips", "cleaned_trips", rows=6_000).success
    kept_apart(one, 900)
    apart = one.zone.find_unaccepted(GREEN)
    assert apart is not None
    one.instance.report_runless_asset_event(
        AssetMaterialization(
            "cleaned_trips",
            partition=GREEN.key,
            tags={"dagster/data_version": apart.version},
        )
    )
    assert one.run("reader").success
    assert seen == [6_000]
    assert not two.run("reader").success
