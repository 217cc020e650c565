"""The embedded stack of the benchmarks, and queries of its servers between rounds."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.inputs import KEPT
from benchmarks.processes import PROJECT
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    from google.cloud import bigquery, storage
    from sqlalchemy import Engine

    from taxi_platform.stores.postgres.server import PostgresServer

FOLDER = KEPT / "stack"


@contextmanager
def running_stack(*, workers: bool = False) -> Iterator[None]:
    """The stack's addresses in the environment; stopped afterwards, unless it ran before.

    Args:
        workers: whether it has a Redis, through which workers are given runs.
    """
    from taxi_platform.local.stack import LocalStack

    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dagster.yaml", FOLDER)
    stack = LocalStack(FOLDER)
    ran = all(server.state == "running" for server in stack.status())
    stack.up(workers=workers)
    before = dict(os.environ)
    os.environ.update(stack.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if not ran:
            stack.down()


def postgres_server() -> "PostgresServer":
    """The stack's Postgres, for the stores."""
    from taxi_platform.stores.postgres.server import PostgresServer
    from taxi_platform.stores.postgres.settings import PostgresSettings

    return PostgresServer.of(PostgresSettings())


def postgres_engine() -> "Engine":
    """The stack's Postgres for pandas, through SQLAlchemy and psycopg2."""
    from sqlalchemy import URL, create_engine

    server = postgres_server()
    return create_engine(
        URL.create(
            "postgresql+psycopg2",
            server.user,
            server.password,
            server.host,
            server.port,
            server.database,
        )
    )


def bigquery_client() -> "bigquery.Client":
    """A client of the stack's BigQuery emulator."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return bigquery.Client(
        project=os.environ["TAXI_GCP_PROJECT"], credentials=AnonymousCredentials()
    )


def gcs_bucket() -> "storage.Bucket":
    """The bucket in the stack's GCS server."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(
        project=os.environ["TAXI_GCP_PROJECT"], credentials=AnonymousCredentials()
    )
    return client.bucket(os.environ["TAXI_GCS_BUCKET"])


def forget_months() -> None:
    """Empties the landing zone and the bucket, so that every round does all the work."""
    shutil.rmtree(Path(os.environ["TAXI_DATA_DIR"]), ignore_errors=True)
    for blob in gcs_bucket().list_blobs():
        blob.delete()


def emulator_seconds(since: datetime) -> float:
    """The duration of load jobs according to the BigQuery emulator.

    Args:
        since: jobs made before do not count; with a time zone.
    """
    with bigquery_client() as client:
        jobs = [j for j in client.list_jobs(min_creation_time=since) if j.job_type == "load"]
    return sum((job.ended - job.started).total_seconds() for job in jobs)


def find_kept(month: TripMonth) -> int:
    """Kept rows of a month, according to the landing zone of the runs."""
    from taxi_platform.landing.zone import LandingZone

    return LandingZone(Path(os.environ["TAXI_DATA_DIR"])).find_cleaned(month).rows


def rows_in_stores(table: str, month: str) -> tuple[int, int]:
    """Rows of a month in Postgres and BigQuery.

    Args:
        table: ``schema.table``, the same in both.
        month: its first day, ``2021-01-01``.
    """
    import psycopg

    query = f"SELECT count(*) FROM {table} WHERE data_file_month = DATE '{month}'"
    with psycopg.connect(postgres_server().conninfo) as connection:
        found = connection.execute(query).fetchone()
    with bigquery_client() as client:
        row = next(iter(client.query_and_wait(query)))
    assert found is not None
    return int(found[0]), int(row[0])
