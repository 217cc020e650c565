"""One month, from the web to reconciled stores: ours through Dagster, the peer as tutorials do it.

The same web server, GCS server, BigQuery emulator and Postgres serve both. What the emulator says
that its load jobs took is taken off and reported apart: it is no part of either.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import (
    WARM_UP,
    YELLOW,
    folder_of,
    on_the_web,
    warm_up_month,
    yellow_month,
)
from benchmarks.processes import ContestError, Facts
from benchmarks.runs import materialize_command, publish_from, warm_worker
from benchmarks.servers import (
    bigquery_client,
    emulator_seconds,
    find_kept,
    forget_months,
    gcs_bucket,
    postgres_engine,
    rows_in_stores,
    running_stack,
)

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 100_000
TO_SQL_CHUNKS = 2
"""``to_sql`` is measured on so many chunks and its time scaled: all of them would take minutes."""

TIMES = ["tpep_pickup_datetime", "tpep_dropoff_datetime"]


def _inputs(rows: int) -> None:
    yellow_month(rows)
    warm_up_month(rows)


@contextmanager
def _surroundings(rows: int) -> Iterator[None]:
    with running_stack(), on_the_web(folder_of(rows)) as address:
        publish_from(address)
        yield


def _cold(_rows: int) -> Sequence[str]:
    return materialize_command(YELLOW)


def _warm(_rows: int) -> Work:
    run = warm_worker(WARM_UP)
    return lambda: run(YELLOW)


def _before(_rows: int) -> None:
    forget_months()


def _without_emulator(seconds: float, since: datetime) -> Facts:
    emulator = emulator_seconds(since)
    return {"seconds": seconds - emulator, "emulator_seconds": emulator}


def _reconciled(seconds: float, since: datetime) -> Facts:
    facts = _without_emulator(seconds, since)
    kept = find_kept(YELLOW)
    held = rows_in_stores("trips.yellow_trips", str(YELLOW.month))
    if held != (kept, kept):
        raise ContestError(f"Postgres and BigQuery hold {held} rows of {kept} kept")
    return facts


def _tutorial(_rows: int) -> Work:
    """Three flows: web to Postgres, web to GCS, GCS to BigQuery; each reads for itself."""
    import pandas  # noqa: F401
    import sqlalchemy  # noqa: F401

    url = os.environ["TAXI_SOURCE_URL"].format(color=YELLOW.color, month=YELLOW.year_month)

    def work() -> Facts:
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            saved, measured = _web_to_postgres(url)
            _web_to_gcs(url, Path(folder))
            _gcs_to_bigquery(Path(folder))
        return {"seconds": time.perf_counter() - begin + saved, "measured_rows": measured}

    return work


def _read(url: str) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.read_csv(url, compression="gzip", low_memory=False)
    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name])
    return frame


def _web_to_postgres(url: str) -> tuple[float, int]:
    """Returns the seconds that the chunks left out would have taken, and the rows written."""
    import pandas as pd

    engine = postgres_engine()
    written = rows = 0
    seconds = 0.0
    for number, chunk in enumerate(
        pd.read_csv(url, compression="gzip", chunksize=CHUNK_ROWS, low_memory=False)
    ):
        for name in TIMES:
            chunk[name] = pd.to_datetime(chunk[name])
        rows += len(chunk)
        if number < TO_SQL_CHUNKS:
            start = time.perf_counter()
            chunk.to_sql(
                "tutorial", engine, if_exists="append" if number else "replace", index=False
            )
            seconds += time.perf_counter() - start
            written += len(chunk)
    return seconds * (rows - written) / written, written


def _web_to_gcs(url: str, folder: Path) -> None:
    path = folder / "month.parquet"
    _read(url).to_parquet(path, compression="gzip")
    gcs_bucket().blob("tutorial/month.parquet").upload_from_filename(str(path), timeout=600)


def _gcs_to_bigquery(folder: Path) -> None:
    import pandas as pd
    from google.cloud import bigquery

    path = folder / "again.parquet"
    gcs_bucket().blob("tutorial/month.parquet").download_to_filename(str(path))
    frame = pd.read_parquet(path)
    frame["passenger_count"] = frame["passenger_count"].fillna(0)
    config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE")
    with bigquery_client() as client:
        client.create_dataset("tutorial", exists_ok=True)
        client.load_table_from_dataframe(
            frame, f"{client.project}.tutorial.trips", job_config=config
        ).result()


BENCH = Bench(
    name="partition",
    rows=2_000_000,
    contenders=(
        Contender("cold", command=_cold, before=_before, after=_reconciled),
        Contender("warm", _warm, before=_before, after=_reconciled),
        Contender("tutorial", _tutorial, before=_before, after=_without_emulator),
    ),
    compare=seconds_by_theirs("cold", "tutorial"),
    inputs=_inputs,
    surroundings=_surroundings,
)
