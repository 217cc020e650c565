"""Load jobs: files into a table or one of its partitions, all of them or nothing.

What columns a Parquet file may bring into which table is in parquet_columns.py; how the table is
made ready for them is in destination.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from taxi_platform.local.bigquery import catalog
from taxi_platform.local.bigquery.column_types import Field, checked_fields
from taxi_platform.local.bigquery.destination import Destination
from taxi_platform.local.bigquery.errors import ApiError, invalid, unsupported
from taxi_platform.local.bigquery.gcs import GcsObjects
from taxi_platform.local.bigquery.jobs import Job, Jobs, Outcome
from taxi_platform.local.bigquery.parquet_columns import ParquetFile
from taxi_platform.local.bigquery.storage import Cursor, Storage

_HANDLED = {
    "clustering",
    "createDisposition",
    "destinationTable",
    "destinationTableProperties",
    "ignoreUnknownValues",
    "parquetOptions",
    "schema",
    "schemaUpdateOptions",
    "sourceFormat",
    "sourceUris",
    "timePartitioning",
    "writeDisposition",
}
# Options that mean nothing for a Parquet file, or ask for what is done anyway.
_WITHOUT_EFFECT = {"autodetect", "encoding", "maxBadRecords"}

Files = list[tuple[str, Path]]


@dataclass(frozen=True)
class LoadRequest:
    """A checked load configuration."""

    uris: list[str]
    destination: Destination
    declared: list[Field] | None
    lists_inferred: bool
    ignore_unknown: bool

    @classmethod
    def from_configuration(cls, load: dict[str, Any], *, uploaded: bool) -> LoadRequest:
        """Reads the API's JobConfigurationLoad.

        Raises:
            ApiError: it is wrong, or asks for something that is not supported.
        """
        meant = {key for key, value in load.items() if value not in (None, {}, [], "", False, 0)}
        if extra := sorted(meant - _HANDLED - _WITHOUT_EFFECT):
            raise unsupported(f"the load option {extra[0]}")
        source_format = (load.get("sourceFormat") or "CSV").upper()
        if source_format != "PARQUET":
            raise unsupported(f"loads of the format {source_format}, only PARQUET")
        options = load.get("parquetOptions") or {}
        if options.get("enumAsString") or options.get("mapTargetType"):
            raise unsupported("the Parquet options enumAsString and mapTargetType")
        if not load.get("destinationTable"):
            raise invalid("Required parameter is missing: destinationTable")
        uris = list(load.get("sourceUris") or [])
        if bool(uris) == uploaded:
            raise invalid("Load configuration must specify at least one source URI")
        schema = (load.get("schema") or {}).get("fields")
        return cls(
            uris=uris,
            destination=Destination.from_configuration(load, default_write="WRITE_APPEND"),
            declared=checked_fields(schema) if schema else None,
            lists_inferred=bool(options.get("enableListInference")),
            ignore_unknown=bool(load.get("ignoreUnknownValues")),
        )


@dataclass(frozen=True)
class Loader:
    """Runs load jobs."""

    storage: Storage
    jobs: Jobs
    objects: GcsObjects

    def work(
        self, request: LoadRequest, upload: AbstractContextManager[Files] | None = None
    ) -> Callable[[Job], None]:
        """What a load job has to do: with an uploaded file, or with objects of GCS."""

        def load(job: Job) -> None:
            files = upload or self.objects.downloaded(request.uris, lambda: job.cancelled)
            with files as fetched:
                self._load(job, request, fetched)

        return load

    def _load(self, job: Job, request: LoadRequest, files: Files) -> None:
        """Loads files into the destination, in one transaction with the job's outcome."""
        destination = request.destination
        with (
            self.storage.locks.held_for(*destination.lock_key),
            self.storage.transaction() as cursor,
        ):
            job.works_with(cursor)
            sources = [ParquetFile.opened(cursor, uri, path) for uri, path in files]
            target = destination.prepared(
                cursor,
                self._incoming(cursor, request, sources),
                self.storage.next_id,
                modes_count=request.declared is not None,
            )
            rows = 0
            for source in sources:
                job.raise_if_cancelled()
                columns, select, parameters = source.selection(
                    target.table.fields,
                    declared=request.declared is not None,
                    lists_inferred=request.lists_inferred,
                    ignore_unknown=request.ignore_unknown,
                )
                try:
                    rows += target.insert(columns, select, parameters)
                except duckdb.Error as error:
                    raise _unreadable(source, error) from error
            statistics = {
                "load": {
                    "inputFiles": str(len(files)),
                    "inputFileBytes": str(sum(path.stat().st_size for _, path in files)),
                    "outputRows": str(rows),
                    "outputBytes": str(target.finish()),
                    "badRecords": "0",
                }
            }
            self.jobs.record(cursor, job, Outcome(statistics))

    def _incoming(
        self, cursor: Cursor, request: LoadRequest, sources: list[ParquetFile]
    ) -> list[Field]:
        """The columns that the job brings: declared, or those of the last file, as in BigQuery."""
        if request.declared is not None:
            return request.declared
        table = catalog.find_table_or_none(cursor, request.destination.name)
        held = table.fields if table else []
        fields = sources[-1].fields(held, lists_inferred=request.lists_inferred)
        if request.ignore_unknown and held and not request.destination.replaces_schema:
            names = {field["name"].lower() for field in held}
            fields = [field for field in fields if field["name"].lower() in names]
        return fields


def _unreadable(source: ParquetFile, error: duckdb.Error) -> ApiError:
    if isinstance(error, duckdb.InterruptException):
        return ApiError("stopped", "Job execution was cancelled: User requested cancellation")
    reason = "backendError" if isinstance(error, duckdb.OutOfMemoryException) else "invalid"
    detail = str(error).split("\n")[0]
    return ApiError(reason, f"Error while reading data, error message: {detail} File: {source.uri}")
