"""Load jobs: files into a table or one of its partitions, all of them or nothing.

What columns a Parquet file may bring into which table is in parquet_columns.py, how CSV is read in
csv_rows.py; how the table is made ready for them is in destination.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bigquery_emulator.errors import ApiError, invalid, unsupported
from bigquery_emulator.jobs import csv_rows, json_rows
from bigquery_emulator.jobs.csv_rows import CsvFile, CsvFormat
from bigquery_emulator.jobs.destination import Destination
from bigquery_emulator.jobs.gcs import GcsObjects
from bigquery_emulator.jobs.job import Job, Jobs, Outcome
from bigquery_emulator.jobs.parquet_columns import ParquetFile
from bigquery_emulator.sql.duckdb_errors import UNSUPPORTED_MARK
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.column_types import Field, checked_fields
from bigquery_emulator.storage.database import Cursor, Storage

_HANDLED = {
    "clustering",
    "createDisposition",
    "decimalTargetTypes",
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

_NDJSON = "NEWLINE_DELIMITED_JSON"
Files = list[tuple[str, Path]]
Source = ParquetFile | CsvFile


@dataclass(frozen=True)
class LoadRequest:
    """A checked load configuration."""

    uris: list[str]
    destination: Destination
    declared: list[Field] | None
    lists_inferred: bool
    ignore_unknown: bool
    csv: CsvFormat | None
    is_json: bool = False

    @classmethod
    def from_configuration(cls, load: dict[str, Any], *, uploaded: bool) -> LoadRequest:
        """Reads the API's JobConfigurationLoad.

        Raises:
            ApiError: it is wrong, or asks for something that is not supported.
        """
        meant = {key for key, value in load.items() if value not in (None, {}, [], "", False, 0)}
        source_format = (load.get("sourceFormat") or "CSV").upper()
        if source_format not in ("PARQUET", "CSV", _NDJSON):
            raise unsupported(f"loads of the format {source_format}")
        is_csv, is_json = source_format == "CSV", source_format == _NDJSON
        if is_json and load.get("autodetect") and not load.get("schema"):
            raise unsupported("autodetect for NDJSON; give the job a schema")
        if is_json and load.get("maxBadRecords"):
            raise unsupported("maxBadRecords for NDJSON")
        if extra := sorted(
            meant - _HANDLED - _WITHOUT_EFFECT - (csv_rows.OPTIONS if is_csv else set())
        ):
            raise unsupported(f"the load option {extra[0]}")
        options = load.get("parquetOptions") or {}
        if options.get("enumAsString") or options.get("mapTargetType"):
            raise unsupported("the Parquet options enumAsString and mapTargetType")
        if "NUMERIC" not in load.get("decimalTargetTypes", ["NUMERIC"]):
            raise unsupported("decimalTargetTypes without NUMERIC")
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
            csv=CsvFormat.from_configuration(load)
            if is_csv
            else (json_rows.FORMAT if is_json else None),
            is_json=is_json,
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
            catalog.check_location(cursor, destination.name, job.name.location)
            sources = self._opened(cursor, request, files)
            target = destination.prepared(
                cursor,
                self._incoming(cursor, request, sources),
                self.storage.next_id,
                modes_count=request.declared is not None,
            )
            rows = 0
            for source in sources:
                job.raise_if_cancelled()
                columns, select, parameters = _selection(source, request, target.table.fields)
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

    def _opened(self, cursor: Cursor, request: LoadRequest, files: Files) -> list[Source]:
        if request.csv is None:
            return [ParquetFile.opened(cursor, uri, path) for uri, path in files]
        columns = request.declared
        if columns is None:
            table = catalog.find_table_or_none(cursor, request.destination.name)
            columns = table.fields if table else None
        if not columns:
            raise invalid("No schema specified on job or table.")
        if request.is_json:
            for uri, path in files:
                json_rows.rewrite(path, uri, columns, ignore_unknown=request.ignore_unknown)
        return [CsvFile(uri, path, request.csv, columns) for uri, path in files]

    def _incoming(self, cursor: Cursor, request: LoadRequest, sources: list[Source]) -> list[Field]:
        """The columns that the job brings: declared, or those of the last file, as in BigQuery."""
        last = sources[-1]
        if request.declared is not None:
            return request.declared
        if isinstance(last, CsvFile):
            return last.columns
        table = catalog.find_table_or_none(cursor, request.destination.name)
        existing = table.fields if table else []
        fields = last.fields(existing, lists_inferred=request.lists_inferred)
        if request.ignore_unknown and existing and not request.destination.replaces_schema:
            names = {field["name"].lower() for field in existing}
            fields = [field for field in fields if field["name"].lower() in names]
        return fields


def _selection(
    source: Source, request: LoadRequest, target: list[Field]
) -> tuple[list[str], str, dict[str, Any]]:
    if isinstance(source, CsvFile):
        return source.selection(target)
    return source.selection(
        target,
        declared=request.declared is not None,
        lists_inferred=request.lists_inferred,
        ignore_unknown=request.ignore_unknown,
    )


def _unreadable(source: Source, error: duckdb.Error) -> ApiError:
    if isinstance(error, duckdb.InterruptException):
        return ApiError("stopped", "Job execution was cancelled: User requested cancellation")
    reason = "backendError" if isinstance(error, duckdb.OutOfMemoryException) else "invalid"
    detail = str(error).split("\n")[0]
    if UNSUPPORTED_MARK in detail:
        return ApiError("notImplemented", f"{detail} File: {source.uri}")
    if re.search(r"CSV (Error|Parser)", detail):  # Python's reader had nothing against the file
        return unsupported(f"this CSV file ({detail}): {source.uri}")
    return ApiError(reason, f"Error while reading data, error message: {detail} File: {source.uri}")
