"""Trip tables in BigQuery, one a color, a partition a month.

A month is replaced by one server-side load job from its object in the lake into the table's
partition, which BigQuery makes visible at once or not at all; no trip passes through here.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.lake import TripObject
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, columns, trip_schema

if TYPE_CHECKING:
    from google.cloud import bigquery

REQUEST_SECONDS = 60
LOAD_SECONDS = 1800
FIRST_POLL_SECONDS = 0.02
LAST_POLL_SECONDS = 2.0
MOST_ATTEMPTS = 1000

NO_RETRY: Any = None
"""The client accepts None and does not retry then, which its type hints do not say."""

_TYPES = {
    pa.int16(): "INTEGER",
    pa.float64(): "FLOAT",
    pa.string(): "STRING",
    pa.timestamp("us"): "DATETIME",
    pa.date32(): "DATE",
}

_TRANSIENT_JOB_REASONS = (
    "backendError",
    "internalError",
    "rateLimitExceeded",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "stopped",
    "tableUnavailable",
    "timeout",
)


@dataclass(frozen=True)
class BigQueryLoad:
    """What a load job did.

    Attributes:
        table: ``project.dataset.table``.
        partition: ``YYYYMM``.
        job_id: the load job.
        rows: rows that it wrote.
        attached: whether the job had been started before, by a run that ended early.
    """

    table: str
    partition: str
    job_id: str
    rows: int
    attached: bool


class BigQueryTrips:
    """The trip tables of one dataset.

    The client's own retries are switched off: the step's retry policy is the one layer.
    """

    def __init__(self, client: "bigquery.Client", dataset: str, location: str = "US") -> None:
        self._client = client
        self.dataset = dataset
        self.location = location

    def table_id(self, color: str) -> str:
        """``project.dataset.table`` of a color."""
        return f"{self._client.project}.{self.dataset}.{color}_trips"

    def replace_month(
        self, trips: TripObject, report: Callable[[str], None] = lambda _: None
    ) -> BigQueryLoad:
        """Replaces a month by what its object holds.

        Args:
            trips: the object in the lake.
            report: told the load job's id as it starts.

        Raises:
            PermanentStoreError: BigQuery refuses the object, the dataset or the access; or it
                wrote another number of rows than the object's writer says it holds.
            TransientStoreError: BigQuery cannot be reached or failed for reasons of its own.
        """
        month = trips.month
        with self._errors(month):
            self._ensure_table(month.color)
            job, attached = self._start(trips)
            report(job.job_id)
            _wait_for(job)
            job.result(retry=NO_RETRY, timeout=REQUEST_SECONDS)
        partition = _partition(month)
        rows = int(job.output_rows or 0)
        if trips.rows is not None and rows != trips.rows:
            raise PermanentStoreError(
                f"{month}: load job {job.job_id} wrote {rows:,} rows into "
                f"{self.table_id(month.color)}${partition}, but {trips.uri} holds {trips.rows:,}: "
                "materialize gcs_trips and bigquery_trips for this partition again"
            )
        return BigQueryLoad(self.table_id(month.color), partition, job.job_id, rows, attached)

    def read_month(self, month: TripMonth, names: Sequence[str] | None = None) -> pa.Table:
        """The rows of a month, with the chosen canonical columns or all, as Arrow.

        Raises:
            PermanentStoreError: there is no such table or column.
            TransientStoreError: BigQuery cannot be reached.
        """
        from google.cloud import bigquery

        known = [c.name for c in columns(month.color)]
        chosen = list(names) if names is not None else known
        if unknown := [n for n in chosen if n not in known]:
            raise PermanentStoreError(f"{month}: BigQuery: no column {', '.join(unknown)}")
        listed = ", ".join(f"`{name}`" for name in chosen)
        # The names are the schema's own, checked above; the month is a parameter.
        query = (
            f"SELECT {listed} FROM `{self.table_id(month.color)}` "  # noqa: S608
            f"WHERE `{DATA_FILE_MONTH}` = @month"
        )
        parameters = [bigquery.ScalarQueryParameter("month", "DATE", month.month)]
        with self._errors(month):
            job = self._client.query(
                query,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                retry=NO_RETRY,
                job_retry=None,
                timeout=REQUEST_SECONDS,
            )
            rows = job.result(retry=NO_RETRY, job_retry=None)
            read = rows.to_arrow(create_bqstorage_client=False)
        # BigQuery has one integer type and names of its own for times: back to the schema's.
        schema = trip_schema(month.color)
        return read.cast(pa.schema([schema.field(name) for name in chosen]))

    def _ensure_table(self, color: str) -> None:
        from google.api_core.exceptions import NotFound
        from google.cloud import bigquery

        table = self._table(color)
        try:
            self._client.create_table(
                table, exists_ok=True, retry=NO_RETRY, timeout=REQUEST_SECONDS
            )
        except NotFound:
            dataset = bigquery.Dataset(f"{self._client.project}.{self.dataset}")
            dataset.location = self.location
            self._client.create_dataset(
                dataset, exists_ok=True, retry=NO_RETRY, timeout=REQUEST_SECONDS
            )
            self._client.create_table(
                table, exists_ok=True, retry=NO_RETRY, timeout=REQUEST_SECONDS
            )

    def _table(self, color: str) -> "bigquery.Table":
        from google.cloud import bigquery

        table = bigquery.Table(self.table_id(color), schema=table_schema(trip_schema(color)))
        table.time_partitioning = bigquery.TimePartitioning(
            type_=bigquery.TimePartitioningType.MONTH, field=DATA_FILE_MONTH
        )
        table.clustering_fields = ["pickup_location_id"]
        table.description = (
            f"TLC {color} taxi trips. A partition is the month of the file, replaced whole."
        )
        return table

    def _start(self, trips: TripObject) -> tuple[Any, bool]:
        """Starts the load job of this object, or attaches to it where it is running already.

        A job that ended is never taken for this one: its rows may have been replaced since, and
        loading again costs nothing.
        """
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        month = trips.month
        table = f"{self.table_id(month.color)}${_partition(month)}"
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=table_schema(trip_schema(month.color)),
            time_partitioning=self._table(month.color).time_partitioning,
            clustering_fields=self._table(month.color).clustering_fields,
        )
        for attempt in range(MOST_ATTEMPTS):
            job_id = self._job_id(trips, attempt)
            try:
                job: Any = self._client.load_table_from_uri(
                    trips.uri,
                    table,
                    job_id=job_id,
                    location=self.location,
                    job_config=config,
                    retry=NO_RETRY,
                    timeout=REQUEST_SECONDS,
                )
            except Conflict:
                job = self._client.get_job(
                    job_id, location=self.location, retry=NO_RETRY, timeout=REQUEST_SECONDS
                )
                if job.state == "DONE":
                    continue
                return job, True
            return job, False
        raise TransientStoreError(f"{month}: {table} was loaded {MOST_ATTEMPTS} times already")

    def _job_id(self, trips: TripObject, attempt: int) -> str:
        month = trips.month
        return f"taxi_{self.dataset}_{month.color}_{_partition(month)}_{trips.generation}_{attempt}"

    @contextmanager
    def _errors(self, month: TripMonth) -> Iterator[None]:
        import concurrent.futures

        from google.api_core import exceptions

        from taxi_platform.stores.google_errors import google_errors

        store = f"BigQuery, {self.table_id(month.color)}${_partition(month)}"
        try:
            with google_errors(month, store):
                yield
        except concurrent.futures.TimeoutError as error:
            raise TransientStoreError(f"{month}: {store}: the job did not end in time") from error
        except PermanentStoreError as error:
            cause = error.__cause__
            reasons = {
                e.get("reason")
                for e in getattr(cause, "errors", None) or []
                if isinstance(cause, exceptions.GoogleAPICallError) and isinstance(e, dict)
            }
            if reasons.intersection(_TRANSIENT_JOB_REASONS):
                raise TransientStoreError(str(error)) from cause
            raise


def _wait_for(job: Any) -> None:
    """Waits until a job has ended, well or badly.

    The client's own wait sleeps up to a second before it asks for the second time, which is longer
    than a small month takes.

    Raises:
        TimeoutError: it has not ended after ``LOAD_SECONDS``.
    """
    deadline = time.monotonic() + LOAD_SECONDS
    wait = FIRST_POLL_SECONDS
    while not job.done(retry=NO_RETRY, timeout=REQUEST_SECONDS):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(wait)
        wait = min(wait * 1.5, LAST_POLL_SECONDS)


def _partition(month: TripMonth) -> str:
    return f"{month.month:%Y%m}"


def table_schema(schema: pa.Schema) -> "list[bigquery.SchemaField]":
    """The BigQuery schema of a table, from its Arrow schema and the descriptions in it."""
    from google.cloud import bigquery

    return [
        bigquery.SchemaField(
            field.name, _TYPES[field.type], description=field.metadata[b"description"].decode()
        )
        for field in schema
    ]
