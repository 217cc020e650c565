"""Query results: kept in DuckDB tables of their own, so that pages need no second run.

They lie in a file apart from the catalog's, and are dropped after an hour, or when there are many.
"""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from bigquery_emulator.errors import not_found
from bigquery_emulator.storage.catalog import now_ms
from bigquery_emulator.storage.column_types import Field, column_definition
from bigquery_emulator.storage.database import Cursor, Storage
from bigquery_emulator.storage.quoting import quoted

# The dataset under which clients see the anonymous tables.
ANONYMOUS_DATASET = "_emulator_results"
_LIFETIME_MS = 60 * 60 * 1000
_MOST_RESULTS = 1000
_SWEEP_SECONDS = 300


@dataclass(frozen=True)
class ResultTable:
    """Rows that can be paged through: of a query, or of a table."""

    relation: str
    fields: list[Field]
    num_rows: int

    def entry(self) -> dict[str, Any]:
        """What a job's outcome keeps of it."""
        anonymous = {"dataset": ANONYMOUS_DATASET, "table": self.relation.rpartition(".")[2]}
        return asdict(self) | anonymous

    @classmethod
    def from_entry(cls, entry: dict[str, Any]) -> ResultTable:
        """Reads what a job's outcome kept."""
        return cls(entry["relation"], entry["fields"], entry["num_rows"])


class ResultStore:
    """The anonymous tables of query results."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._stop = threading.Event()
        with storage.transaction() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS results.main.entries "
                "(name VARCHAR NOT NULL, created_ms BIGINT NOT NULL, fields VARCHAR NOT NULL)"
            )
        threading.Thread(target=self._sweep_until_closed, daemon=True).start()

    def create(self, cursor: Cursor, fields: list[Field]) -> str:
        """Makes an empty table for rows of these columns, in the caller's transaction."""
        name = f"r{self._storage.next_id()}"
        columns = ", ".join(column_definition(field) for field in fields)
        cursor.execute(f"CREATE TABLE results.main.{name} ({columns})")
        cursor.execute(
            "INSERT INTO results.main.entries VALUES ($name, $now, $fields)",
            {"name": name, "now": now_ms(), "fields": json.dumps(fields)},
        )
        return f"results.main.{name}"

    def find(self, cursor: Cursor, table_id: str) -> ResultTable:
        """The anonymous table that a client knows from a job's destinationTable.

        Raises:
            ApiError: there is none, or it has expired.
        """
        row = cursor.execute(
            "SELECT name, fields FROM results.main.entries WHERE name = $name", {"name": table_id}
        ).fetchone()
        if row is None:
            raise not_found(f"Table {ANONYMOUS_DATASET}.{table_id}")
        relation = f"results.main.{quoted(row[0])}"
        counted = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
        return ResultTable(relation, json.loads(row[1]), int(counted[0]) if counted else 0)

    def close(self) -> None:
        """Ends the sweeping."""
        self._stop.set()

    def _sweep_until_closed(self) -> None:
        self.sweep()
        while not self._stop.wait(_SWEEP_SECONDS):
            self.sweep()

    def sweep(self) -> None:
        """Drops the results that are old or too many; a failure is made good by the next sweep."""
        try:
            with self._storage.transaction() as cursor:
                names = cursor.execute(
                    "SELECT name FROM results.main.entries QUALIFY created_ms < $oldest "
                    "OR row_number() OVER (ORDER BY created_ms DESC) > $most",
                    {"oldest": now_ms() - _LIFETIME_MS, "most": _MOST_RESULTS},
                ).fetchall()
                for (name,) in names:
                    cursor.execute(f"DROP TABLE IF EXISTS results.main.{quoted(name)}")
                    cursor.execute(
                        "DELETE FROM results.main.entries WHERE name = $name", {"name": name}
                    )
        except duckdb.Error:
            return
