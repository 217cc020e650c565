"""Months of trips, loading and reading them, and reads that go on meanwhile."""

import datetime
import io
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.servers import PROJECT

SCHEMA = [
    bigquery.SchemaField("vendor_id", "INT64"),
    bigquery.SchemaField("pickup", "DATETIME"),
    bigquery.SchemaField("fare", "FLOAT64"),
    bigquery.SchemaField("m", "DATE", "REQUIRED"),
]
# Options of a load that may add columns to its table.
ADDITION = {"schema_update_options": ["ALLOW_FIELD_ADDITION"]}


def month(number: int, rows: int, fare: float = 1.0) -> pa.Table:
    """A month of trips, with codes of 16 bits as the platform writes them."""
    pickup = moment(f"2024-{number:02}-01T12:00:00")
    return pa.table(
        {
            "vendor_id": pa.array([1] * rows, pa.int16()),
            "pickup": pa.array([pickup] * rows, pa.timestamp("us")),
            "fare": pa.array([fare] * rows, pa.float64()),
            "m": pa.array([datetime.date(2024, number, 1)] * rows, pa.date32()),
        }
    )


def stored(bucket: Bucket, table: pa.Table, name: str = "") -> str:
    """Puts a table into GCS as Parquet and gives its address."""
    name = name or f"data/{uuid.uuid4().hex} #1.parquet"
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=50_000)
    bucket.blob(name).upload_from_string(buffer.getvalue())
    return f"gs://{bucket.name}/{name}"


def load(
    client: bigquery.Client, uris: str | list[str], table: str, **options: Any
) -> bigquery.LoadJob:
    """Loads Parquet from GCS, and waits until it is done."""
    config = bigquery.LoadJobConfig(source_format="PARQUET", **options)
    job = client.load_table_from_uri(uris, f"{PROJECT}.{table}", job_config=config)
    job.result()
    return job


def replace(client: bigquery.Client, uri: str, table: str, **options: Any) -> bigquery.LoadJob:
    """Loads Parquet in the place of what a table or partition has."""
    return load(client, uri, table, write_disposition="WRITE_TRUNCATE", **options)


def rows(client: bigquery.Client, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a query answers."""
    return [row.values() for row in client.query_and_wait(sql)]


def moment(text: str) -> datetime.datetime:
    """A time, without zone unless the text has one."""
    return datetime.datetime.fromisoformat(text)


@contextmanager
def repeating(*reads: Callable[[], None]) -> Iterator[None]:
    """Runs each read again and again, in a thread of its own, as long as the body runs."""
    stop = threading.Event()

    def repeat(read: Callable[[], None]) -> None:
        while not stop.is_set():
            read()

    threads = [threading.Thread(target=repeat, args=[read]) for read in reads]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
