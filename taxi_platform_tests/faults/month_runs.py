"""Months made for the tests, runs of them in this process, and what the stores hold afterwards."""

import gzip
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import (
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    materialize,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.assets.trips import trip_assets
from taxi_platform.checks.reconciliation import trip_checks
from taxi_platform.definitions import build_resources
from taxi_platform.landing.download import land
from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import load_settings
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.month import TripMonth

HEADER = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
    "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,"
    "tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge\n"
)

Contents = tuple[int, int]
"""Rows, and the sum of ``total_amount`` in cents."""


def publish(folder: Path, partition: str, rows: int, without_passengers: int = 0) -> Contents:
    """Publishes a month of so many rows, spread over its days, in a folder.

    Returns:
        What is kept of it: the first rows may be without passengers, which are rejected.
    """
    color, _, month = partition.partition("|")
    lines = [HEADER]
    sum_of_cents = 0
    for number in range(rows):
        day, cents = number % 28 + 1, 1_000 + number % 997
        good = number >= without_passengers
        sum_of_cents += cents if good else 0
        lines.append(
            f"1,{month}-{day:02} 00:59:04,{month}-{day:02} 01:07:27,{int(good)},2.1,1,N,"
            f"{number % 263 + 1},"
            f"234,1,9,0.5,0.5,2,0,0.3,{cents // 100}.{cents % 100:02},0\n"
        )
    folder.mkdir(exist_ok=True)
    path = folder / f"{color}_tripdata_{month}.csv.gz"
    path.write_bytes(gzip.compress("".join(lines).encode(), 1))
    return rows - without_passengers, sum_of_cents


def template(folder: Path) -> str:
    """The source setting for months published in a folder."""
    return f"file://{folder}/{{color}}_tripdata_{{month}}.csv.gz"


class MonthRuns:
    """Runs of months with one set of settings, by the assets themselves.

    Args:
        environment: every setting of the platform.
        folder: where months are published.
        monkeypatch: sets the environment, which resources read.
    """

    def __init__(
        self, environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.environment = environment | {"TAXI_SOURCE_URL": template(folder)}
        self._folder = folder
        self._monkeypatch = monkeypatch

    def publish(self, partition: str, rows: int) -> Contents:
        """Publishes a month of so many rows, and returns what the stores should contain."""
        return publish(self._folder, partition, rows)

    def clean(self, partition: str, rows: int) -> Contents:
        """Publishes a month of so many rows, lands and cleans it; the stores keep the old one."""
        contents = self.publish(partition, rows)
        month = TripMonth.from_key(partition)
        landing = LandingZone(Path(self.environment["TAXI_DATA_DIR"]))
        raw, _ = land(
            source_of(SourceTemplate(self.environment["TAXI_SOURCE_URL"])), month, landing
        )
        landing.write_cleaned(clean_trips(raw.path, month, source_sha256=raw.sha256))
        return contents

    def run(self, partition: str, *assets: str, **changed: str) -> ExecuteInProcessResult:
        """Materializes the assets of a partition with their checks, with changed settings."""
        with self._monkeypatch.context() as patch:
            for name, value in (self.environment | changed).items():
                patch.setenv(name, value)
            with DagsterInstance.ephemeral() as instance:
                return materialize_month(instance, partition, assets)


def materialize_month(
    instance: DagsterInstance, partition: str, assets: Sequence[str]
) -> ExecuteInProcessResult:
    """Materializes assets of a partition with their checks, as the environment says."""
    chosen = load_settings()
    return materialize(
        [*trip_assets(chosen), *trip_checks(chosen)],
        selection=AssetSelection.assets(*assets) | AssetSelection.checks_for_assets(*assets),
        partition_key=partition,
        resources=build_resources(chosen),
        instance=instance,
        raise_on_error=False,
    )


def retried(result: ExecuteInProcessResult) -> list[str]:
    """The steps that the run's log says are tried again, once for each time."""
    return [
        event.step_key or ""
        for event in result.all_events
        if event.event_type is DagsterEventType.STEP_UP_FOR_RETRY
    ]


def failures(result: ExecuteInProcessResult) -> dict[str, str]:
    """What each failed step says."""
    said = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            user = data.user_failure_data
            said[event.step_key or ""] = str(user.description if user else data.error)
    return said


def metadata(result: ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What the run says of a materialization."""
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


@dataclass(frozen=True)
class Holdings:
    """What the stores hold, asked by their own clients and past every proxy.

    Attributes:
        gcs_url: the GCS server.
        bucket: of the trip objects.
        bigquery_url: the BigQuery emulator.
        dataset: of the trip tables.
    """

    gcs_url: str
    bucket: str
    bigquery_url: str
    dataset: str
    project: str

    def gcs_client(self) -> storage.Client:
        return storage.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.gcs_url},
        )

    def bigquery_client(self) -> bigquery.Client:
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.bigquery_url},
        )

    def in_gcs(self, partition: str) -> tuple[int, str]:
        """Generation and checksum of a month's object."""
        color, _, month = partition.partition("|")
        with self.gcs_client() as client:
            name = f"data/{color}/{color}_tripdata_{month}.parquet"
            blob = client.bucket(self.bucket).get_blob(name)
        assert blob is not None
        return int(blob.generation), blob.crc32c

    def in_bigquery(self, partition: str) -> Contents:
        """What the month's partition holds."""
        color, _, month = partition.partition("|")
        with self.bigquery_client() as client:
            row = next(
                iter(
                    client.query_and_wait(
                        "SELECT COUNT(*), SUM(CAST(ROUND(total_amount * 100) AS INT64)) "
                        f"FROM {self.dataset}.{color}_trips "
                        f"WHERE data_file_month = DATE '{month}-01'"
                    )
                )
            )
        return row[0], row[1] or 0


def in_postgres(conninfo: str, schema: str, partition: str) -> Contents:
    """What the month's child table holds."""
    color, _, month = partition.partition("|")
    with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
        row = connection.execute(
            f"SELECT count(*), coalesce(sum(round(total_amount * 100)), 0)::bigint "
            f"FROM {schema}.{color}_trips WHERE data_file_month = %s",
            [f"{month}-01"],
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def tables_in(conninfo: str, schema: str) -> list[str]:
    """Every table of a schema, attached or left over."""
    with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY 1",
            [schema],
        ).fetchall()
    return [name for (name,) in rows]
