"""One month, from the web to reconciled stores: ours through Dagster, the peer as tutorials do it.

The month is Parquet, or gzipped CSV as until 2021. The same web server, GCS server, BigQuery
emulator and Postgres serve both. What the emulator says that its load jobs took is taken off and
reported apart: it is no part of either. Of ours, the seconds of each asset are shown, and of the
rest: the start of the process, checks, and Dagster.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import (
    WARM_UP,
    WARM_UP_PARQUET,
    YELLOW,
    YELLOW_PARQUET,
    folder_of,
    on_the_web,
    published,
    warm_up_month,
)
from benchmarks.processes import ContestError, Facts
from benchmarks.runs import (
    asset_seconds,
    materialize_command,
    publish_from,
    warm_worker,
)
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
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import publication_ending

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 100_000
TO_SQL_CHUNKS = 2
"""``to_sql`` is measured on so many chunks and its time scaled: all of them would take minutes."""

TIMES = ["tpep_pickup_datetime", "tpep_dropoff_datetime"]


@dataclass(frozen=True)
class _Road:
    """One month on its way, in one of the formats in which months are published.

    Attributes:
        month: color and month.
        warm_up: a month in the same format, which warms up a worker.
        chunks: reads it as the tutorials do, in chunks for ``to_sql``.
        whole: reads it as the tutorials do, for a file in the bucket.
    """

    month: TripMonth
    warm_up: TripMonth
    chunks: "Callable[[str], Iterator[pd.DataFrame]]"
    whole: "Callable[[str], pd.DataFrame]"

    def inputs(self, rows: int) -> None:
        published(self.month, rows)
        warm_up_month(self.warm_up, rows)

    @contextmanager
    def surroundings(self, rows: int) -> Iterator[None]:
        with running_stack(), on_the_web(folder_of(rows)) as address:
            publish_from(address, publication_ending(self.month))
            yield

    def cold(self, _rows: int) -> Sequence[str]:
        return materialize_command(self.month)

    def warm(self, _rows: int) -> Work:
        run = warm_worker(self.warm_up)
        return lambda: run(self.month)

    def reconciled(self, seconds: float, since: datetime) -> Facts:
        facts = _without_emulator(seconds, since)
        kept = find_kept(self.month)
        held = rows_in_stores("trips.yellow_trips", str(self.month.month))
        if held != (kept, kept):
            raise ContestError(f"Postgres and BigQuery hold {held} rows of {kept} kept")
        assets = asset_seconds(self.month)
        return facts | assets | {"rest": seconds - sum(assets.values())}

    def tutorial(self, _rows: int) -> Work:
        """Three flows: web to Postgres, web to GCS, GCS to BigQuery; each reads for itself."""
        import pandas  # noqa: F401
        import sqlalchemy  # noqa: F401

        url = os.environ["TAXI_SOURCE_URL"].format(
            color=self.month.color, month=self.month.year_month
        )

        def work() -> Facts:
            begin = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                saved, measured = _to_postgres(self.chunks(url))
                _to_gcs(self.whole(url), Path(folder))
                _gcs_to_bigquery(Path(folder))
            return {"seconds": time.perf_counter() - begin + saved, "measured_rows": measured}

        return work

    def bench(self, name: str, rows: int) -> Bench:
        return Bench(
            name=name,
            rows=rows,
            contenders=(
                Contender("cold", command=self.cold, before=_before, after=self.reconciled),
                Contender("warm", self.warm, before=_before, after=self.reconciled),
                Contender("tutorial", self.tutorial, before=_before, after=_without_emulator),
            ),
            compare=seconds_by_theirs("cold", "tutorial"),
            inputs=self.inputs,
            surroundings=self.surroundings,
        )


def _before(_rows: int) -> None:
    forget_months()


def _without_emulator(seconds: float, since: datetime) -> Facts:
    emulator = emulator_seconds(since)
    return {"seconds": seconds - emulator, "emulator_seconds": emulator}


def _csv(url: str) -> "pd.DataFrame":
    import pandas as pd

    return _with_times(pd.read_csv(url, compression="gzip", low_memory=False))


def _csv_chunks(url: str) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    with pd.read_csv(url, compression="gzip", chunksize=CHUNK_ROWS, low_memory=False) as chunks:
        yield from map(_with_times, chunks)


def _with_times(frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name])
    return frame


def _parquet(url: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(url)


def _parquet_chunks(url: str) -> "Iterator[pd.DataFrame]":
    frame = _parquet(url)
    for start in range(0, len(frame), CHUNK_ROWS):
        yield frame[start : start + CHUNK_ROWS]


def _to_postgres(chunks: "Iterator[pd.DataFrame]") -> tuple[float, int]:
    """Returns the seconds that the chunks left out would have taken, and the rows written."""
    engine = postgres_engine()
    written = rows = 0
    seconds = 0.0
    for number, chunk in enumerate(chunks):
        rows += len(chunk)
        if number < TO_SQL_CHUNKS:
            start = time.perf_counter()
            chunk.to_sql(
                "tutorial", engine, if_exists="append" if number else "replace", index=False
            )
            seconds += time.perf_counter() - start
            written += len(chunk)
    return seconds * (rows - written) / written, written


def _to_gcs(frame: "pd.DataFrame", folder: Path) -> None:
    path = folder / "month.parquet"
    frame.to_parquet(path, compression="gzip")
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


PARQUET = _Road(YELLOW_PARQUET, WARM_UP_PARQUET, _parquet_chunks, _parquet).bench(
    "partition_parquet", 3_000_000
)
CSV = _Road(YELLOW, WARM_UP, _csv_chunks, _csv).bench("partition", 2_000_000)
