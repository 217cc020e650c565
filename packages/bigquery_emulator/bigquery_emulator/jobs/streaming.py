"""tabledata.insertAll: rows that come with the request, in the table when it is answered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bigquery_emulator.errors import ApiError, invalid
from bigquery_emulator.jobs.csv_rows import CsvFile
from bigquery_emulator.jobs.destination import Destination
from bigquery_emulator.jobs.json_rows import FORMAT, lines
from bigquery_emulator.sql.duckdb_errors import UNSUPPORTED_MARK
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.database import Storage

RowErrors = dict[int, ApiError]


@dataclass(frozen=True)
class RowInserter:
    """Inserts streamed rows."""

    storage: Storage

    def insert(
        self, name: TableName, rows: list[Any], *, skip_invalid: bool, ignore_unknown: bool
    ) -> RowErrors:
        """Inserts the rows, or says which ones are wrong.

        Args:
            name: the table.
            rows: the objects.
            skip_invalid: whether the right ones are inserted if others are wrong.
            ignore_unknown: whether values without a column are left out.

        Returns:
            The errors by the rows' positions; unless `skip_invalid`, no row is inserted then.

        Raises:
            ApiError: there is no such table, or something is not supported.
        """
        with self.storage.locks.held_for(name.project, name.dataset, name.table):
            with self.storage.snapshot() as cursor:
                table = catalog.find_table(cursor, name)
            try:
                self._insert(table, rows, ignore_unknown=ignore_unknown)
            except ApiError as error:
                if error.reason != "invalid":
                    raise
            else:
                return {}
            errors = self._errors(table, rows, ignore_unknown=ignore_unknown)
            right = [row for at, row in enumerate(rows) if at not in errors]
            if skip_invalid and right:
                self._insert(table, right, ignore_unknown=ignore_unknown)
            return errors

    def _errors(self, table: Table, rows: list[Any], *, ignore_unknown: bool) -> RowErrors:
        found: RowErrors = {}
        for at, row in enumerate(rows):
            try:
                self._insert(table, [row], ignore_unknown=ignore_unknown, keep=False)
            except ApiError as error:
                if error.reason != "invalid":
                    raise
                found[at] = error
        return found

    def _insert(
        self, table: Table, rows: list[Any], *, ignore_unknown: bool, keep: bool = True
    ) -> None:
        destination = Destination(
            table.name, None, "WRITE_APPEND", "CREATE_NEVER", schema_updates=frozenset()
        )
        with self._as_csv(rows, table, ignore_unknown=ignore_unknown) as path:
            source = CsvFile("the streamed rows", path, FORMAT, table.fields)
            columns, select, parameters = source.selection(table.fields)
            try:
                with self.storage.transaction() as cursor:
                    target = destination.prepared(
                        cursor, table.fields, self.storage.next_id, modes_count=False
                    )
                    target.insert(columns, select, parameters)
                    if not keep:
                        raise _CheckedError
                    target.finish()
            except _CheckedError:
                return
            except duckdb.Error as error:
                detail = str(error).split("\n")[0].partition("Error: ")[2] or str(error)
                if UNSUPPORTED_MARK in detail:
                    raise ApiError("notImplemented", detail) from error
                raise invalid(detail) from error

    @contextmanager
    def _as_csv(self, rows: list[Any], table: Table, *, ignore_unknown: bool) -> Iterator[Path]:
        if table.is_view:
            raise ApiError("invalidQuery", f"Cannot insert into the view {table.name}")
        with tempfile.NamedTemporaryFile(
            "w", dir=self.storage.temp_dir, prefix="rows-", encoding="utf-8", newline=""
        ) as file:
            file.writelines(lines(rows, table.fields, ignore_unknown=ignore_unknown))
            file.flush()
            yield Path(file.name)


class _CheckedError(Exception):
    """A row was only tried."""
