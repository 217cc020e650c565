"""The zone lookup, from where it is published into a small table of each store.

A few hundred rows, replaced at once: in BigQuery by one load job, in Postgres in one transaction.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.http_source import NOT_PUBLISHED, is_passing, timeout_of
from taxi_platform.sources.source import PRESETS, SYNTHETIC
from taxi_platform.stores.bigquery.table import table_schema
from taxi_platform.stores.bigquery.trips import NO_RETRY, REQUEST_SECONDS
from taxi_platform.stores.google_errors import google_errors
from taxi_platform.stores.postgres.server import (
    PostgresServer,
    column_definitions,
    postgres_error,
)
from taxi_platform.trips.zones import ZONE_SCHEMA, synthetic_zones

if TYPE_CHECKING:
    from google.cloud import bigquery

FILE_NAME = "taxi_zone_lookup.csv"
PUBLISHED_AT = f"https://d37ci6vzurychx.cloudfront.net/misc/{FILE_NAME}"
TABLE = "taxi_zones"
SUBJECT = "taxi_zones"
"""What messages begin with, as those of months begin with their key."""


def zones_address(source_url: str) -> str:
    """Where the lookup is, for a trip source: the TLC's own, or beside the trip files.

    >>> zones_address("https://host/trips/{color}_tripdata_{month}.parquet")
    'https://host/trips/taxi_zone_lookup.csv'
    """
    if source_url == SYNTHETIC:
        return SYNTHETIC
    if source_url in PRESETS:
        return PUBLISHED_AT
    return f"{source_url.rpartition('/')[0]}/{FILE_NAME}"


def fetch_zones(address: str) -> bytes | None:
    """The lookup as published, None where there is none.

    Raises:
        TransientStoreError: the source cannot be reached.
        PermanentStoreError: it refuses.
    """
    if address == SYNTHETIC:
        return synthetic_zones()
    if urlsplit(address).scheme == "file":
        path = Path(unquote(urlsplit(address).path))
        return path.read_bytes() if path.is_file() else None
    import httpx

    try:
        response = httpx.get(address, follow_redirects=True, timeout=timeout_of(REQUEST_SECONDS))
    except httpx.TransportError as error:
        raise TransientStoreError(f"{SUBJECT}: {address} cannot be reached ({error})") from error
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise PermanentStoreError(f"{SUBJECT}: {address}: {error}") from error
    if response.status_code in NOT_PUBLISHED:
        return None
    if is_passing(response.status_code):
        raise TransientStoreError(f"{SUBJECT}: {address} answered {response.status_code}")
    if response.status_code != 200:
        raise PermanentStoreError(f"{SUBJECT}: {address} answered {response.status_code}")
    return response.content


def replace_in_bigquery(
    client: "bigquery.Client", dataset: str, location: str, zones: pa.Table
) -> str:
    """Replaces the zones' table.

    Returns:
        Its name, ``project.dataset.table``.

    Raises:
        PermanentStoreError: BigQuery refuses.
        TransientStoreError: BigQuery cannot be reached.
    """
    from google.cloud import bigquery

    name = f"{client.project}.{dataset}.{TABLE}"
    file = io.BytesIO()
    pq.write_table(zones, file)
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        schema=table_schema(ZONE_SCHEMA),
    )
    with google_errors(SUBJECT, f"BigQuery, {name}"):
        home = bigquery.Dataset(f"{client.project}.{dataset}")
        home.location = location
        client.create_dataset(home, exists_ok=True, retry=NO_RETRY, timeout=REQUEST_SECONDS)
        job = client.load_table_from_file(
            file, name, rewind=True, location=location, job_config=config, num_retries=0
        )
        job.result(retry=NO_RETRY, timeout=REQUEST_SECONDS)
    return name


def replace_in_postgres(server: PostgresServer, schema: str, zones: pa.Table) -> str:
    """Replaces the zones' rows in one transaction.

    Returns:
        The table's name, ``schema.table``.

    Raises:
        PermanentStoreError: Postgres refuses.
        TransientStoreError: Postgres cannot be reached.
    """
    table = sql.Identifier(schema, TABLE)
    name = f"{schema}.{TABLE}"
    try:
        with psycopg.connect(server.conninfo) as connection, connection.cursor() as cursor:
            # One writer at a time: two that both find no table would collide in making it.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
            cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            cursor.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY (location_id))").format(
                    table, column_definitions(ZONE_SCHEMA)
                )
            )
            cursor.execute(sql.SQL("DELETE FROM {}").format(table))
            values = sql.SQL(", ").join(sql.Placeholder() * len(ZONE_SCHEMA.names))
            cursor.executemany(
                sql.SQL("INSERT INTO {} VALUES ({})").format(table, values),
                [tuple(row.values()) for row in zones.to_pylist()],
            )
    except psycopg.Error as error:
        store = f"{SUBJECT}: Postgres at {server.address}, {name}"
        raise postgres_error(error, store) from error
    return name


def read_from_postgres(server: PostgresServer, schema: str) -> pa.Table:
    """The zones as they are in Postgres, a table of ``ZONE_SCHEMA`` ordered by id.

    Raises:
        PermanentStoreError: they are not there.
        TransientStoreError: Postgres cannot be reached.
    """
    query = sql.SQL("SELECT {} FROM {} ORDER BY location_id").format(
        sql.SQL(", ").join(map(sql.Identifier, ZONE_SCHEMA.names)), sql.Identifier(schema, TABLE)
    )
    try:
        with psycopg.connect(server.conninfo) as connection:
            rows = connection.execute(query).fetchall()
    except psycopg.Error as error:
        store = f"{SUBJECT}: Postgres at {server.address}, {schema}.{TABLE}"
        raise postgres_error(error, store) from error
    named = [dict(zip(ZONE_SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=ZONE_SCHEMA)
