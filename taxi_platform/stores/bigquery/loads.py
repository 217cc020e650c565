"""Load and query jobs, which replace a month or a small table.

One server-side job with WRITE_TRUNCATE, which BigQuery applies atomically.
"""

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import TransientStoreError
from taxi_platform.stores.base import Report
from taxi_platform.stores.bigquery.waiting import wait_for
from taxi_platform.stores.deadlines import TOTAL_SECONDS, StreamWithDeadline
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.google import NO_RETRY

if TYPE_CHECKING:
    from google.cloud import bigquery

MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class LoadJobs:
    """Starts jobs that write one table, and waits for them.

    Attributes:
        client: of BigQuery.
        table: the existing table, including columns that others added.
        partition: ``YYYYMM``, or None for the whole table.
        location: of the jobs.
        patience: the client's retry and timeout.
    """

    client: "bigquery.Client"
    table: "bigquery.Table"
    partition: str | None
    location: str
    patience: Any

    @property
    def destination(self) -> str:
        """The target: ``project.dataset.table$YYYYMM``, or without the partition."""
        name = f"{self.table.project}.{self.table.dataset_id}.{self.table.table_id}"
        return f"{name}${self.partition}" if self.partition else name

    def load_object(self, trips: TripObject, report: Report) -> tuple[Any, bool]:
        """Loads an object, or attaches to a running load job of the same object.

        A job that has ended is not reused: its rows may have been replaced since, and loading
        again costs nothing.

        Args:
            trips: the object.
            report: called with the job's id and state, until it has ended.

        Returns:
            The job, which has succeeded, and whether it was started earlier.
        """

        def start(job_id: str) -> Any:
            return self.client.load_table_from_uri(
                trips.uri,
                self.destination,
                job_id=job_id,
                location=self.location,
                job_config=self._config(),
                **self.patience,
            )

        job, attached = self._started(start, str(trips.generation))
        self._wait_for(job, report)
        return job, attached

    def start_query(self, statement: str, version: str) -> Any:
        """Starts a query whose rows replace the destination, or attaches to the same if it runs.

        Args:
            statement: a SELECT.
            version: of what it reads; with it, the same statement has the same rows.

        Returns:
            The job, to be given to ``finish_query``.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            destination=self.destination,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            time_partitioning=self.table.time_partitioning,
            clustering_fields=self.table.clustering_fields,
            use_query_cache=False,
        )

        def start(job_id: str) -> Any:
            return self.client.query(
                statement,
                job_id=job_id,
                location=self.location,
                job_config=config,
                job_retry=None,
                **self.patience,
            )

        content = hashlib.sha256(f"{version} {statement}".encode()).hexdigest()
        return self._started(start, content[:16])[0]

    def finish_query(self, job: Any) -> int:
        """Waits for a query that was started; returns the number of its rows."""
        wait_for(job, f"query into {self.destination}", self.patience)
        rows = job.result(max_results=0, retry=NO_RETRY, job_retry=None, timeout=TOTAL_SECONDS)
        return int(rows.total_rows)

    def _started(self, start: Callable[[str], Any], version: str) -> tuple[Any, bool]:
        """A job with an id derived from what it loads, and whether it had been started earlier."""
        from google.api_core.exceptions import Conflict

        for attempt in range(MOST_ATTEMPTS):
            job_id = f"taxi_{self._name}_{version}_{attempt}"
            try:
                return start(job_id), False
            except Conflict:
                job = self.client.get_job(job_id, location=self.location, **self.patience)
                if job.state != "DONE":
                    return job, True
        raise TransientStoreError(f"{self.destination} was loaded {MOST_ATTEMPTS} times already")

    def load_rows(self, rows: pa.RecordBatchReader) -> Any:
        """Loads rows through a temporary file, so memory stays flat.

        Returns:
            The job, which has succeeded.
        """
        with _spooled(rows) as file:
            job: Any = self.client.load_table_from_file(
                cast("IO[bytes]", StreamWithDeadline(file, self.destination)),
                self.destination,
                rewind=True,
                job_id=f"taxi_{self._name}_{uuid.uuid4().hex}",
                location=self.location,
                job_config=self._config(),
                num_retries=0,
                timeout=self.patience["timeout"],
            )
            self._wait_for(job, lambda _: None)
        return job

    @property
    def _name(self) -> str:
        name = f"{self.table.dataset_id}_{self.table.table_id}"
        return f"{name}_{self.partition}" if self.partition else name

    def _config(self) -> "bigquery.LoadJobConfig":
        from google.cloud import bigquery

        return bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=self.table.schema,
            time_partitioning=self.table.time_partitioning,
            clustering_fields=self.table.clustering_fields,
        )

    def _wait_for(self, job: Any, report: Report) -> None:
        """Waits until the job has ended; raises its error. Another attempt attaches to it."""
        wait_for(job, f"load of {self.destination}", self.patience, report)
        job.result(retry=NO_RETRY)


@contextmanager
def _spooled(rows: pa.RecordBatchReader) -> Iterator[IO[bytes]]:
    """Rows as a temporary Parquet file, deleted after the block."""
    with tempfile.TemporaryFile(prefix="taxi_platform_") as file:
        with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
            for batch in rows:
                writer.write_batch(batch)
        yield file
