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

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.bigquery.table import refuse_misfit, trip_table
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, chosen_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns

if TYPE_CHECKING:
    from google.cloud import bigquery

REQUEST_SECONDS = 60.0
LOAD_SECONDS = 1800
FIRST_POLL_SECONDS = 0.02
LAST_POLL_SECONDS = 2.0
MOST_ATTEMPTS = 1000

NO_RETRY: Any = None
"""The client accepts None and does not retry then, which its type hints do not say."""

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

    def __init__(
        self,
        client: "bigquery.Client",
        dataset: str,
        location: str = "US",
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._client = client
        self.dataset = dataset
        self.location = location
        self._patience: Any = {"retry": NO_RETRY, "timeout": request_seconds}

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
            job, attached = self._start(trips, self._ensure_table(month))
            report(job.job_id)
            self._wait_for(job, month)
        partition = _partition(month)
        rows = int(job.output_rows or 0)
        if rows != trips.totals.rows:
            raise PermanentStoreError(
                f"{month}: load job {job.job_id} wrote {rows:,} rows into "
                f"{self.table_id(month.color)}${partition}, but {trips.uri} holds "
                f"{trips.totals.rows:,}: materialize gcs_trips and bigquery_trips for this "
                "partition again"
            )
        return BigQueryLoad(self.table_id(month.color), partition, job.job_id, rows, attached)

    def totals(self, month: TripMonth) -> MonthTotals:
        """What the table holds of a month: its rows, and the sum of each amount.

        Raises:
            PermanentStoreError: there is no such table.
            TransientStoreError: BigQuery cannot be reached.
        """
        names = dollar_columns(month.color)
        sums = [f"SUM({cents_expression(f'`{name}`', 'INT64')})" for name in names]
        rows, *cents = next(iter(self._ask(month, ", ".join(["COUNT(*)", *sums]))))
        return MonthTotals(rows, {n: c or 0 for n, c in zip(names, cents, strict=True)})

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows of a month, with the chosen canonical columns or all, batch by batch.

        Memory stays flat: BigQuery's pages are asked for one after another.

        Raises:
            ValueError: a name is no column of the color.
            PermanentStoreError: there is no such table; while the stream is read.
            TransientStoreError: BigQuery cannot be reached; likewise.
        """
        schema = chosen_schema(month.color, names)

        def batches() -> Iterator[pa.RecordBatch]:
            with self._errors(month):
                rows = self._ask(month, ", ".join(f"`{name}`" for name in schema.names))
                for batch in rows.to_arrow_iterable():
                    # BigQuery has one integer type and names of its own for times.
                    yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def prove_usable(self) -> None:
        """Asks a question that reads nothing: whether jobs can be started here.

        Raises:
            PermanentStoreError: BigQuery refuses.
            TransientStoreError: BigQuery cannot be reached.
        """
        from taxi_platform.stores.google_errors import google_errors

        with google_errors("trips", f"BigQuery, project {self._client.project}"):
            self._client.query("SELECT 1", job_retry=None, **self._patience).result(
                job_retry=None, **self._patience
            )

    def has_table(self, color: str) -> bool:
        """Whether a color has a table, which the first load makes.

        Raises:
            PermanentStoreError: it does not fit the schema.
            TransientStoreError: BigQuery cannot be reached.
        """
        from google.api_core.exceptions import NotFound

        from taxi_platform.stores.google_errors import google_errors

        with google_errors(f"{color} trips", f"BigQuery, {self.table_id(color)}"):
            try:
                table = self._client.get_table(self.table_id(color), **self._patience)
            except NotFound:
                return False
            refuse_misfit(f"{color} trips", table, trip_table(self.table_id(color), color))
        return True

    def _ask(self, month: TripMonth, expressions: str) -> Any:
        """Selects from a month; the expressions name columns of the schema only."""
        from google.cloud import bigquery

        query = (
            f"SELECT {expressions} FROM `{self.table_id(month.color)}` "  # noqa: S608
            f"WHERE `{DATA_FILE_MONTH}` = @month"
        )
        parameters = [bigquery.ScalarQueryParameter("month", "DATE", month.month)]
        with self._errors(month):
            job = self._client.query(
                query,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                job_retry=None,
                **self._patience,
            )
            return job.result(job_retry=None, **self._patience)

    def _wait_for(self, job: Any, month: TripMonth) -> None:
        """Asks after the job until it has ended; raises what it failed of.

        The client's own wait sleeps up to a second before it asks for the second time, which is
        longer than a small month takes.
        """
        deadline = time.monotonic() + LOAD_SECONDS
        wait = FIRST_POLL_SECONDS
        while not job.done(reload=False):
            if time.monotonic() > deadline:
                raise TransientStoreError(
                    f"{month}: BigQuery's load job {job.job_id} has not ended for {LOAD_SECONDS} "
                    "s; another attempt attaches to it"
                )
            time.sleep(wait)
            wait = min(wait * 1.5, LAST_POLL_SECONDS)
            job.reload(**self._patience)
        job.result(retry=NO_RETRY)

    def _ensure_table(self, month: TripMonth) -> "bigquery.Table":
        """The color's table as it is, made if there is none, with the columns that it lacks."""
        from google.api_core.exceptions import NotFound
        from google.cloud import bigquery

        wanted = trip_table(self.table_id(month.color), month.color)
        try:
            table = self._client.get_table(wanted, **self._patience)
        except NotFound:
            home = bigquery.Dataset(f"{self._client.project}.{self.dataset}")
            home.location = self.location
            self._client.create_dataset(home, exists_ok=True, **self._patience)
            table = self._client.create_table(wanted, exists_ok=True, **self._patience)
        refuse_misfit(str(month), table, wanted)
        present = {field.name for field in table.schema}
        if missing := [field for field in wanted.schema if field.name not in present]:
            table.schema = [*table.schema, *missing]
            table = self._client.update_table(table, ["schema"], **self._patience)
        return table

    def _start(self, trips: TripObject, table: "bigquery.Table") -> tuple[Any, bool]:
        """Starts the load job of this object, or attaches to it where it is running already.

        A job that ended is never taken for this one: its rows may have been replaced since, and
        loading again costs nothing.
        """
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        month = trips.month
        partition = f"{self.table_id(month.color)}${_partition(month)}"
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            # The table's own, which may have columns of others too.
            schema=table.schema,
            time_partitioning=table.time_partitioning,
            clustering_fields=table.clustering_fields,
        )
        for attempt in range(MOST_ATTEMPTS):
            job_id = self._job_id(trips, attempt)
            try:
                job: Any = self._client.load_table_from_uri(
                    trips.uri,
                    partition,
                    job_id=job_id,
                    location=self.location,
                    job_config=config,
                    **self._patience,
                )
            except Conflict:
                job = self._client.get_job(job_id, location=self.location, **self._patience)
                if job.state == "DONE":
                    continue
                return job, True
            return job, False
        raise TransientStoreError(f"{month}: {partition} was loaded {MOST_ATTEMPTS} times already")

    def _job_id(self, trips: TripObject, attempt: int) -> str:
        month = trips.month
        return f"taxi_{self.dataset}_{month.color}_{_partition(month)}_{trips.generation}_{attempt}"

    @contextmanager
    def _errors(self, month: TripMonth) -> Iterator[None]:
        from google.api_core import exceptions

        from taxi_platform.stores.google_errors import google_errors

        store = f"BigQuery, {self.table_id(month.color)}${_partition(month)}"
        try:
            with google_errors(month, store):
                yield
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


def _partition(month: TripMonth) -> str:
    return f"{month.month:%Y%m}"
