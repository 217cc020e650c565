"""The whole path of a month, as users run it, on real servers and the TLC's own files."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import (
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    asset,
    materialize,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.assets.trips import trip_assets
from taxi_platform.assets.zones import zone_assets
from taxi_platform.checks.reconciliation import TABLE_CHECK, trip_checks
from taxi_platform.definitions import build_resources
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.trips.zones import synthetic_zones
from taxi_platform_tests.conftest import EmbeddedStack, inherited_environment
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = pytest.mark.integration

DAGSTER = Path(sys.executable).with_name("dagster")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@dataclass(frozen=True)
class Stores:
    """What Postgres, BigQuery and GCS have, asked through their own clients."""

    stack: EmbeddedStack

    def postgres(self, color: str, month: str) -> tuple[int, Decimal]:
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            if connection.execute(f"SELECT to_regclass('trips.{color}_trips')").fetchone() == (
                None,
            ):
                return 0, Decimal(0)
            row = connection.execute(
                f"SELECT count(*), sum(total_amount) FROM trips.{color}_trips "
                "WHERE data_file_month = %s",
                [f"{month}-01"],
            ).fetchone()
        assert row is not None
        return row[0], cents(row[1])

    def bigquery_client(self) -> bigquery.Client:
        return bigquery.Client(
            project=self.stack.environment["TAXI_GCP_PROJECT"],
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.stack.environment["BIGQUERY_EMULATOR_HOST"]},
        )

    def gcs_client(self) -> storage.Client:
        return storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.stack.environment["STORAGE_EMULATOR_HOST"]},
        )

    def bigquery(self, color: str, month: str) -> tuple[int, Decimal]:
        with self.bigquery_client() as client:
            names = [t.table_id for d in client.list_datasets() for t in client.list_tables(d)]
            if f"{color}_trips" not in names:
                return 0, Decimal(0)
            rows = client.query_and_wait(
                f"SELECT COUNT(*), SUM(total_amount) FROM trips.{color}_trips "
                f"WHERE data_file_month = DATE '{month}-01'"
            )
            row = next(iter(rows))
        return row[0], cents(row[1])

    def gcs(self) -> dict[str, int]:
        with self.gcs_client() as client:
            bucket = self.stack.environment["TAXI_GCS_BUCKET"]
            return {b.name: b.generation for b in client.list_blobs(bucket)}

    def files(self) -> dict[Path, bytes]:
        root = Path(self.stack.environment["TAXI_DATA_DIR"])
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def everything(self, color: str, month: str) -> tuple[Any, ...]:
        return (
            self.postgres(color, month),
            self.bigquery(color, month),
            self.gcs(),
            self.files(),
        )


def cents(amount: float | None) -> Decimal:
    return Decimal(str(amount or 0)).quantize(Decimal("0.01"))


@pytest.fixture
def stores(stack: EmbeddedStack) -> Stores:
    return Stores(stack)


def materialize_by_command(
    stack: EmbeddedStack, publisher: Publisher, partition: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(DAGSTER, "asset", "materialize", "-m", "taxi_platform.definitions"),
            *("--select", "*", "--partition", partition),
        ],
        cwd=stack.folder,
        # Only what a user sets: the addresses come from .env in the working folder.
        env=inherited_environment() | {"TAXI_SOURCE_URL": publisher.template},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("month", "rows"), [("2024-01", 56_551), ("2023-01", 68_211), ("2023-02", 64_809)]
)
def test_a_real_month_reaches_every_store_whole_from_the_command_line(
    stack: EmbeddedStack,
    stores: Stores,
    publisher: Publisher,
    real_data: Path,
    month: str,
    rows: int,
) -> None:
    name = f"green_tripdata_{month}.parquet"
    publisher.publish(name, (real_data / "tlc_months" / name).read_bytes())
    run = materialize_by_command(stack, publisher, f"green|{month}")
    assert run.returncode == 0, run.stderr[-4000:]

    facts = last_materialization(stack, "cleaned_trips", f"green|{month}")
    kept = facts["dagster/row_count"]
    assert facts["rows_read"] == rows == kept + facts["rows_rejected"]
    assert sum(facts["rejected_by_reason"].values()) == facts["rows_rejected"]
    expected = (kept, cents(facts["total_amount"]))
    assert stores.bigquery("green", month) == expected
    assert stores.postgres("green", month) == expected
    assert f"data/green/{name}" in stores.gcs()


def last_materialization(stack: EmbeddedStack, asset: str, partition: str) -> dict[str, Any]:
    """The metadata that the instance holds: what the UI shows of runs from the command line."""
    script = (
        "import json, sys\n"
        "from dagster import AssetKey, AssetRecordsFilter, DagsterInstance\n"
        "with DagsterInstance.get() as instance:\n"
        "    chosen = AssetRecordsFilter(AssetKey(sys.argv[1]), asset_partitions=[sys.argv[2]])\n"
        "    record = instance.fetch_materializations(chosen, limit=1).records[0]\n"
        "    metadata = record.asset_materialization.metadata\n"
        "    plain = {k: v.value for k, v in metadata.items() if k != 'dagster/column_schema'}\n"
        "    print(json.dumps(plain))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, asset, partition],
        env=stack.environ(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    facts: dict[str, Any] = json.loads(out)
    return facts


@pytest.fixture
def run_month(
    stack: EmbeddedStack, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ExecuteInProcessResult]:
    """Materializes all five assets of a partition in this process, with changed settings."""
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TAXI_SOURCE_URL", publisher.template.replace(".parquet", ".csv.gz"))

    def run(
        partition: str | None,
        assets: list[Any] | None = None,
        cleaning: dict[str, Any] | None = None,
        **changed: str,
    ) -> ExecuteInProcessResult:
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        chosen = load_settings()
        with DagsterInstance.ephemeral() as instance:
            return materialize(
                assets or [*trip_assets(chosen), *trip_checks(chosen)],
                partition_key=partition,
                resources=build_resources(chosen),
                instance=instance,
                raise_on_error=False,
                run_config={"ops": {"cleaned_trips": {"config": cleaning}}} if cleaning else None,
            )

    return run


def only_failure(result: ExecuteInProcessResult) -> tuple[str, str]:
    """The failed asset, and what its failure says."""
    assert not result.success
    failures = [event for event in result.all_events if event.is_step_failure]
    assert len(failures) == 1
    said = failures[0].step_failure_data.user_failure_data
    assert said is not None
    assert said.description is not None
    assert "\n" not in said.description
    return failures[0].step_key or "", said.description


HEADER = (
    b"VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,"
    b"RatecodeID,store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,"
    b"mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge\r\n"
)
ROW = b"1,2019-02-01 00:59:04,2019-02-01 01:07:27,1,2.1,1,N,48,234,1,9,0.5,0.5,2,0,0.3,12.3,0\r\n"
GOOD = gzip.compress(HEADER + ROW * 100)

BAD_PUBLICATIONS: dict[str, tuple[bytes, int, str]] = {
    "a month that is not published": (b"nothing", 404, "not published"),
    "an HTML page with status 200": (b"<!DOCTYPE html><html>Sign in</html>", 200, "HTML page"),
    "a truncated gzip": (GOOD[:-10], 200, "truncated gzip"),
    "an empty file": (b"", 200, "is empty"),
    "a CSV of something else": (
        gzip.compress(b"LocationID,Borough,Zone\r\n1,EWR,Newark Airport\r\n"),
        200,
        "not a yellow trip file",
    ),
}


@pytest.mark.parametrize("kind", BAD_PUBLICATIONS)
def test_a_bad_publication_fails_clearly_and_leaves_every_store_as_it_was(
    run_month: Callable[..., ExecuteInProcessResult],
    stores: Stores,
    publisher: Publisher,
    kind: str,
) -> None:
    name = "yellow_tripdata_2019-02.csv.gz"
    publisher.publish(name, GOOD)
    assert run_month("yellow|2019-02", cleaning={"accept_replacement": True}).success
    before = stores.everything("yellow", "2019-02")
    assert before[0][0] == before[1][0] == 100

    body, status, said = BAD_PUBLICATIONS[kind]
    publisher.publish(name, body, status=status)
    asset, message = only_failure(
        run_month("yellow|2019-02", cleaning={"accept_replacement": True})
    )
    assert asset == "raw_trips"
    assert message.startswith("yellow|2019-02: ")
    assert publisher.url in message
    assert said in message
    assert stores.everything("yellow", "2019-02") == before


def test_too_many_rejected_rows_fail_the_month_and_leave_every_table_as_it_was(
    run_month: Callable[..., ExecuteInProcessResult], stores: Stores, publisher: Publisher
) -> None:
    name = "yellow_tripdata_2019-02.csv.gz"
    publisher.publish(name, GOOD)
    assert run_month("yellow|2019-02", cleaning={"accept_replacement": True}).success
    before = stores.everything("yellow", "2019-02")[:3]
    dirty = ROW.replace(b"2019-02-01", b"2009-02-01")
    publisher.publish(name, gzip.compress(HEADER + ROW * 90 + dirty * 10))
    asset, message = only_failure(
        run_month("yellow|2019-02", cleaning={"accept_replacement": True})
    )
    assert asset == "cleaned_trips"
    assert "10 of 100 rows (10.0%) would be rejected" in message
    assert "pickup_outside_month 10" in message
    assert stores.everything("yellow", "2019-02")[:3] == before


def test_a_month_that_fails_a_check_reaches_no_store(
    run_month: Callable[..., ExecuteInProcessResult], stores: Stores, publisher: Publisher
) -> None:
    name = "yellow_tripdata_2019-04.csv.gz"
    april = ROW.replace(b"2019-02", b"2019-04")
    publisher.publish(name, gzip.compress(HEADER + april * 100))
    assert run_month("yellow|2019-04").success
    before = stores.everything("yellow", "2019-04")[:3]
    # All of it readable, enough to judge by, and of one day: a file that was cut short.
    publisher.publish(name, gzip.compress(HEADER + april * 2_000))
    for cleaning, failing in (
        (None, {"days_present", "replacement_within_limits"}),
        ({"accept_replacement": True}, {"days_present"}),
    ):
        result = run_month("yellow|2019-04", cleaning=cleaning)
        assert not result.success
        checks = result.get_asset_check_evaluations()
        assert {e.check_name for e in checks if e.blocking and not e.passed} == failing
        assert stores.everything("yellow", "2019-04")[:3] == before


def test_amounts_between_two_cents_add_up_alike_everywhere(
    run_month: Callable[..., ExecuteInProcessResult], publisher: Publisher
) -> None:
    between = [0.125, -0.125, 2.675, 1.005, -2.5, 0.005, 1e7 + 0.375, -0.015, 5.4000000000000004]
    rows = b"".join(ROW.replace(b",12.3,", f",{amount!r},".encode()) for amount in between)
    publisher.publish("yellow_tripdata_2019-02.csv.gz", gzip.compress(HEADER + rows))
    result = run_month("yellow|2019-02", cleaning={"accept_replacement": True})
    assert result.success
    tables = [e for e in result.get_asset_check_evaluations() if e.check_name == TABLE_CHECK]
    assert [e.passed for e in tables] == [True, True]


def tamper_with(stores: Stores, where: str) -> None:
    """Changes one copy of yellow 2019-02, behind the platform's back."""
    table = "trips.yellow_trips"
    if where == "the object":
        with stores.gcs_client() as client:
            name = "data/yellow/yellow_tripdata_2019-02.parquet"
            blob = client.bucket(stores.stack.environment["TAXI_GCS_BUCKET"]).get_blob(name)
            assert blob is not None
            blob.metadata = blob.metadata  # It is sent again: the object stays the platform's.
            body = io.BytesIO()
            pq.write_table(pa.table({"other": [1]}), body)
            blob.upload_from_file(body, rewind=True)
    elif where == "BigQuery":
        with stores.bigquery_client() as client:
            client.query_and_wait(
                f"UPDATE {table} SET total_amount = total_amount + 1 "
                "WHERE data_file_month = '2019-02-01'"
            )
    else:
        with psycopg.connect(stores.stack.postgres().conninfo) as connection:
            connection.execute(
                f"DELETE FROM {table}_2019_02 WHERE ctid IN "
                f"(SELECT ctid FROM {table}_2019_02 LIMIT 1)"
            )


TAMPERING = {
    "the object": ("gcs_trips", "CRC32C"),
    "BigQuery": ("bigquery_trips", "total_amount adds up to"),
    "Postgres": ("postgres_trips", "99 rows instead of 100"),
}


@pytest.mark.parametrize("where", TAMPERING)
def test_a_copy_that_is_not_the_whole_month_fails_its_check(
    run_month: Callable[..., ExecuteInProcessResult],
    stores: Stores,
    publisher: Publisher,
    where: str,
) -> None:
    publisher.publish("yellow_tripdata_2019-02.csv.gz", GOOD)
    assert run_month("yellow|2019-02", cleaning={"accept_replacement": True}).success
    tamper_with(stores, where)
    which, said = TAMPERING[where]
    result = run_checks("yellow|2019-02")
    evaluations = result.get_asset_check_evaluations()
    failed = {e.asset_key.to_user_string(): e for e in evaluations if not e.passed}
    assert which in failed
    assert said in str(failed[which].description)
    assert not result.success, "the check does not block"
    assert not any(e.event_type is DagsterEventType.STEP_UP_FOR_RETRY for e in result.all_events)


def run_checks(partition: str) -> ExecuteInProcessResult:
    """Runs the checks of a partition, without materializing what they check."""
    chosen = load_settings()

    @asset(partitions_def=trip_partitions(chosen))
    def nothing() -> None:
        """Gives the run its partition, which Dagster takes from assets only."""

    with DagsterInstance.ephemeral() as instance:
        return materialize(
            [*trip_assets(chosen), *trip_checks(chosen), nothing],
            selection=AssetSelection.all_asset_checks() | AssetSelection.assets(nothing),
            partition_key=partition,
            resources=build_resources(chosen),
            instance=instance,
            raise_on_error=False,
        )


def test_the_zones_are_loaded_where_the_source_has_them_and_left_alone_where_not(
    run_month: Callable[..., ExecuteInProcessResult], publisher: Publisher
) -> None:
    zones = zone_assets(load_settings())
    skipped = run_month(None, assets=zones)
    assert skipped.success
    assert skipped.get_asset_materialization_events() == []
    publisher.publish("taxi_zone_lookup.csv", synthetic_zones())
    loaded = run_month(None, assets=zones)
    assert loaded.success
    facts = loaded.asset_materializations_for_node("taxi_zones")[0].metadata
    assert facts["dagster/row_count"].value == 265


STORE_FAULTS: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "a bucket that is not there": (
        {"TAXI_GCS_BUCKET": "no-such-bucket"},
        "gcs_trips",
        ("there is no bucket gs://no-such-bucket", "create it", "TAXI_GCS_BUCKET"),
    ),
    "Postgres is down": (
        {"TAXI_POSTGRES_PORT": "9"},
        "postgres_trips",
        ("Postgres at 127.0.0.1:9/taxi", "taxi-platform local up"),
    ),
    "a wrong password": (
        {"TAXI_POSTGRES_PASSWORD": "a-wrong-secret"},
        "postgres_trips",
        ("Postgres at", "TAXI_POSTGRES_PASSWORD"),
    ),
}


@pytest.mark.parametrize("kind", STORE_FAULTS)
def test_a_store_that_fails_says_so_and_keeps_what_it_had(
    run_month: Callable[..., ExecuteInProcessResult],
    stores: Stores,
    publisher: Publisher,
    kind: str,
) -> None:
    name = "yellow_tripdata_2019-03.csv.gz"
    march = ROW.replace(b"2019-02", b"2019-03")
    publisher.publish(name, gzip.compress(HEADER + march * 50))
    assert run_month("yellow|2019-03").success
    before = stores.everything("yellow", "2019-03")

    changed, asset, said = STORE_FAULTS[kind]
    publisher.publish(name, gzip.compress(HEADER + march * 60))
    result = run_month("yellow|2019-03", **changed)
    failed, message = only_failure(result)
    assert failed == asset
    assert message.startswith("yellow|2019-03: ")
    assert all(part in message for part in said)
    events = "".join(str(event) for event in result.all_events)
    assert "a-wrong-secret" not in events
    after = stores.everything("yellow", "2019-03")
    if asset == "postgres_trips":
        assert after[0] == before[0]
    else:
        assert after[1:3] == before[1:3]
    # What does not depend on the failed store went on.
    assert {50, 60} == {after[0][0], after[1][0]}
