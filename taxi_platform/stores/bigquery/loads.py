"""Load jobs, which replace a month or a small table.

One server-side job with WRITE_TRUNCATE, which BigQuery applies atomically.
"""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import TransientStoreError
from taxi_platform.stores.base import Report
from taxi_platform.stores.bigquery.waiting import wait_for
from taxi_platform.stores.deadlines import StreamWithDeadline
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.google import NO_RETRY

if TYPE_CHECKING:
    from google.cloud import bigquery

MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class LoadJobs:
    """Starts load jobs into one table, and waits for them.

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
        from google.api_core.exceptions import Conflict

        for attempt in range(MOST_ATTEMPTS):
            job_id = f"taxi_{self._name}_{trips.generation}_{attempt}"
            attached = False
            try:
                job: Any = self.client.load_table_from_uri(
                    trips.uri,
                    self.destination,
                    job_id=job_id,
                    location=self.location,
                    job_config=self._config(),
                    **self.patience,
                )
            except Conflict:
                job = self.client.get_job(job_id, location=self.location, **self.patience)
                if job.state == "DONE":
                    continue
                attached = True
            self._wait_for(job, report)
            return job, attached
        raise TransientStoreError(
            f"{trips.month}: {self.destination} was loaded {MOST_ATTEMPTS} times already"
        )

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
