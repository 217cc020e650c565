"""BigQuery as a table store: one table for each color, one partition for each month.

Trips are not sent by this process: BigQuery loads the GCS objects itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.base import Answer, Load, MonthQuery, Relation, Report, View
from taxi_platform.stores.bigquery.client import bigquery_client, console_page
from taxi_platform.stores.bigquery.errors import bigquery_errors
from taxi_platform.stores.bigquery.loads import LoadJobs
from taxi_platform.stores.bigquery.month_queries import run_queries
from taxi_platform.stores.bigquery.queries import answer
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.table import (
    check_fit,
    check_own,
    ensure_table,
    month_table,
    trip_table,
    whole_table,
)
from taxi_platform.stores.bigquery.types import arrow_schema, standard_type
from taxi_platform.stores.bigquery.views import ensure_view
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.google import NO_RETRY
from taxi_platform.stores.rows import storable, subject_of
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, chosen_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns

if TYPE_CHECKING:
    from google.cloud import bigquery


@contextmanager
def open_store(chosen: BigQuerySettings) -> "Iterator[BigQueryStore]":
    """The store with these settings; its client is closed after the block."""
    with bigquery_client(chosen) as client:
        yield BigQueryStore(client, chosen)


class BigQueryStore:
    """The tables of one dataset; see ``TableStore``.

    The client's own retries are switched off: only the step's retry policy retries.
    """

    def __init__(self, client: "bigquery.Client", chosen: BigQuerySettings) -> None:
        self._client = client
        self._chosen = chosen
        self._patience: Any = {"retry": NO_RETRY, "timeout": chosen.request_seconds}

    @property
    def address(self) -> str:
        """See ``TableStore.address``: ``project.dataset``."""
        return f"{self._client.project}.{self._chosen.dataset}"

    def table_name(self, table: str) -> str:
        """See ``TableStore.table_name``: ``project.dataset.table``."""
        return f"{self._client.project}.{self._chosen.dataset}.{table}"

    def quoted_name(self, table: str) -> str:
        """See ``TableStore.quoted_name``."""
        return f"`{self.table_name(table)}`"

    def replace_month(self, trips: TripObject, report: Report = lambda _: None) -> Load:
        """See ``TableStore.replace_month``: one load job from the object into the partition.

        Raises:
            PermanentStoreError: BigQuery refuses the object, the dataset or the access; or it
                wrote another number of rows than the object has.
            TransientStoreError: BigQuery cannot be reached, or has an internal error.
        """
        month = trips.month
        wanted = trip_table(self.table_name(f"{month.color}_trips"), month.color)
        with bigquery_errors(month, self._destination(wanted, month.month)):
            jobs = self._jobs(month, month.month, wanted)
            job, attached = jobs.load_object(trips, report)
        rows = int(job.output_rows or 0)
        if rows != trips.totals.rows:
            raise PermanentStoreError(
                f"{month}: load job {job.job_id} wrote {rows:,} rows into {jobs.destination}, but "
                f"{trips.uri} has {trips.totals.rows:,}: materialize gcs_trips and "
                "bigquery_trips for this partition again"
            )
        details = {"bigquery_partition": _partition(month.month), "job_id": job.job_id}
        details |= {"attached_to_earlier_job": attached}
        return self._load(wanted, rows, details, month.month)

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        """See ``TableStore.replace_rows``."""
        subject = subject_of(table, month)
        rows = storable(subject, rows)
        make = month_table if month else whole_table
        wanted = make(self.table_name(table), rows.schema)
        with bigquery_errors(subject, self._destination(wanted, month)):
            job = self._jobs(subject, month, wanted).load_rows(rows)
        return self._load(wanted, int(job.output_rows or 0), {"job_id": job.job_id}, month)

    def replace_by_queries(
        self, month: date, relations: Mapping[str, Relation], queries: Sequence[MonthQuery]
    ) -> list[Load]:
        """See ``TableStore.replace_by_queries``: query jobs into the partitions, side by side."""
        subject = f"marts of {month:%Y-%m}"
        wanted = {
            query.table: month_table(self.table_name(query.table), query.schema, query.description)
            for query in queries
        }
        with bigquery_errors(subject, self.address):
            found = run_queries(
                month,
                relations,
                queries,
                self._version(relations),
                lambda query: self._jobs(query.table, month, wanted[query.table]),
            )
        partition = {"bigquery_partition": _partition(month)}
        return [
            self._load(wanted[query.table], rows, partition | {"job_id": job.job_id}, month)
            for query, (job, rows) in zip(queries, found, strict=True)
        ]

    def existing_tables(self, names: Sequence[str]) -> set[str]:
        """See ``TableStore.existing_tables``."""
        from google.api_core.exceptions import NotFound

        dataset = self.address
        with bigquery_errors("tables", dataset):
            try:
                listed = list(self._client.list_tables(dataset, **self._patience))
            except NotFound:
                return set()
        return {t.table_id for t in listed if t.table_type == "TABLE"} & set(names)

    def ensure_view(self, view: View) -> None:
        """See ``TableStore.ensure_view``."""
        name = self.table_name(view.name)
        with bigquery_errors(f"view {view.name}", name):
            ensure_view(self._client, name, view, self._chosen.location, self._patience)

    def totals(self, month: TripMonth) -> MonthTotals:
        """See ``TableStore.totals``."""
        names = dollar_columns(month.color)
        sums = [f"SUM({cents_expression(f'`{name}`', 'INT64')})" for name in names]
        rows, *cents = next(iter(self._ask(_trips(month), month.month, ["COUNT(*)", *sums])))
        return MonthTotals(rows, {n: c or 0 for n, c in zip(names, cents, strict=True)})

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """See ``TableStore.stream_month``. Pages are requested one after another."""
        return self._stream(_trips(month), month.month, chosen_schema(month.color, names))

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """See ``TableStore.stream_rows``."""
        with bigquery_errors(subject_of(table, month), self.table_name(table)):
            columns = self._client.get_table(self.table_name(table), **self._patience).schema
        schema = arrow_schema(columns)
        if unknown := [name for name in names or () if name not in schema.names]:
            raise ValueError(f"{table} has no column {', '.join(unknown)}")
        chosen = pa.schema([schema.field(name) for name in names or schema.names])
        return self._stream(table, month, chosen)

    def query(self, statement: str, limit: int | None) -> AbstractContextManager[Answer]:
        """See ``TableStore.query``."""
        return answer(self._client, self.address, statement, limit, self._patience)

    def check_access(self) -> None:
        """See ``TableStore.check_access``: runs a query that reads nothing."""
        with bigquery_errors("trips", f"project {self._client.project}"):
            self._client.query("SELECT 1", job_retry=None, **self._patience).result(
                job_retry=None, **self._patience
            )

    def has_table(self, color: str) -> bool:
        """See ``TableStore.has_table``."""
        from google.api_core.exceptions import NotFound

        wanted = trip_table(self.table_name(f"{color}_trips"), color)
        with bigquery_errors(f"{color} trips", self.table_name(f"{color}_trips")):
            try:
                table = self._client.get_table(wanted, **self._patience)
            except NotFound:
                return False
        check_fit(f"{color} trips", table, wanted)
        check_own(f"{color} trips", table, wanted)
        return True

    def loaded_months(self, color: str) -> set[TripMonth]:
        """See ``TableStore.loaded_months``. Reads one column, as BigQuery bills it."""
        if not self.has_table(color):
            return set()
        rows = self._ask(f"{color}_trips", None, [f"DISTINCT `{DATA_FILE_MONTH}`"])
        with bigquery_errors(f"{color} trips", self.table_name(f"{color}_trips")):
            months = [month for (month,) in rows if month is not None and month.day == 1]
        return {TripMonth(color, month) for month in months}

    def leftovers(self, *, drop: bool = False) -> list[str]:  # noqa: ARG002
        """See ``TableStore.leftovers``: a load job leaves nothing behind."""
        return []

    def _jobs(self, subject: object, month: date | None, wanted: "bigquery.Table") -> LoadJobs:
        location, patience = self._chosen.location, self._patience
        table = ensure_table(self._client, subject, wanted, location, patience)
        partition = _partition(month) if month else None
        return LoadJobs(self._client, table, partition, location, patience)

    def _version(self, relations: Mapping[str, Relation]) -> str:
        """Changes with the tables of trips that relations read.

        With it, a query that still runs is not taken for one of the tables as they are now.
        """
        names = {n for r in relations.values() for n in re.findall(r"`([^`]+_trips)`", r.sql)}
        tables = [self._client.get_table(name, **self._patience) for name in sorted(names)]
        return " ".join(str(table.etag) for table in tables)

    def _destination(self, wanted: "bigquery.Table", month: date | None) -> str:
        name = self.table_name(wanted.table_id)
        return f"{name}${_partition(month)}" if month else name

    def _load(
        self,
        wanted: "bigquery.Table",
        rows: int,
        details: dict[str, str | bool],
        month: date | None,
    ) -> Load:
        name = self.table_name(wanted.table_id)
        which = f" WHERE {DATA_FILE_MONTH} = '{month}'" if month else ""
        query = f"SELECT * FROM `{name}`{which}"  # noqa: S608 (shown to people, not executed)
        url = console_page(self._chosen.environment, name)
        return Load(name, rows, url, details | {"query": query}, standard_type)

    def _stream(self, table: str, month: date | None, schema: pa.Schema) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            with bigquery_errors(subject_of(table, month), self.table_name(table)):
                rows = self._ask(table, month, [f"`{name}`" for name in schema.names])
                for batch in rows.to_arrow_iterable():
                    # BigQuery has one integer type, and other types for times.
                    yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _ask(self, table: str, month: date | None, expressions: list[str]) -> Any:
        """Selects from a table; the expressions contain only columns of its schema."""
        from google.cloud import bigquery

        query = f"SELECT {', '.join(expressions)} FROM `{self.table_name(table)}`"  # noqa: S608
        parameters = []
        if month:
            query += f" WHERE `{DATA_FILE_MONTH}` = @month"
            parameters = [bigquery.ScalarQueryParameter("month", "DATE", month)]
        with bigquery_errors(subject_of(table, month), self.table_name(table)):
            job = self._client.query(
                query,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                job_retry=None,
                **self._patience,
            )
            return job.result(job_retry=None, **self._patience)


def _trips(month: TripMonth) -> str:
    return f"{month.color}_trips"


def _partition(month: date) -> str:
    return f"{month:%Y%m}"
