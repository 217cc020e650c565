"""The DuckDB files: opening them, and transactions.

What the tables mean is the business of the modules that use them. Two files are kept: one for
catalog, data and jobs, so that a load, its table and its job's outcome commit together; one for
query results, which may be thrown away at any time and would only bloat the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from bigquery_emulator.storage.locks import WriteLocks

Cursor = duckdb.DuckDBPyConnection

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS meta;
CREATE SCHEMA IF NOT EXISTS data;
CREATE TABLE IF NOT EXISTS meta.datasets (
    project VARCHAR NOT NULL, dataset VARCHAR NOT NULL, resource VARCHAR NOT NULL,
    created_ms BIGINT NOT NULL, modified_ms BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS meta.tables (
    id BIGINT NOT NULL, project VARCHAR NOT NULL, dataset VARCHAR NOT NULL,
    name VARCHAR NOT NULL, resource VARCHAR NOT NULL,
    created_ms BIGINT NOT NULL, modified_ms BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS meta.segments (
    table_id BIGINT NOT NULL, segment_id BIGINT NOT NULL, partition_id VARCHAR);
CREATE TABLE IF NOT EXISTS meta.partitions (
    table_id BIGINT NOT NULL, partition_id VARCHAR, num_rows BIGINT NOT NULL,
    num_bytes BIGINT NOT NULL, modified_ms BIGINT NOT NULL, nan_columns VARCHAR[] NOT NULL);
CREATE TABLE IF NOT EXISTS meta.jobs (
    project VARCHAR NOT NULL, location VARCHAR NOT NULL, job_id VARCHAR NOT NULL,
    resource VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS meta.job_outcomes (
    project VARCHAR NOT NULL, location VARCHAR NOT NULL, job_id VARCHAR NOT NULL,
    resource VARCHAR NOT NULL);
"""


class Storage:
    """The open DuckDB files of one data directory.

    Args:
        data_dir: where they lie; made if it is not there.
        macros: the SQL that creates the macros that queries call; run at each start.
    """

    def __init__(self, data_dir: Path, macros: str) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.temp_dir = data_dir / "tmp"
        self.temp_dir.mkdir(exist_ok=True)
        self._remove_leftovers()
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": "1GB",
            "threads": 2,
            "temp_directory": str(self.temp_dir / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._root = duckdb.connect(str(data_dir / "store.duckdb"), config=config)
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        # As in BigQuery, a division by zero or the root of a negative number is an error.
        self._root.execute("SET GLOBAL ieee_floating_point_ops = false")
        self._root.execute("ATTACH $path AS results", {"path": str(data_dir / "results.duckdb")})
        self._root.execute(_SCHEMA)
        self._root.execute(macros)
        self._ids = itertools.count(self._largest_id() + 1)
        self.locks = WriteLocks()

    def _remove_leftovers(self) -> None:
        """Removes the downloads and uploads of a process that was killed."""
        for path in self.temp_dir.iterdir():
            if path.is_file():
                path.unlink()

    def cursor(self) -> Cursor:
        """A cursor of its own, for one request in one thread."""
        return self._root.cursor()

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """A transaction to read in: catalog and data are those of one moment."""
        with self.transaction() as cursor:
            yield cursor

    @contextmanager
    def transaction(self, cursor: Cursor | None = None) -> Iterator[Cursor]:
        """A transaction that commits at the end, and leaves nothing if the body raises."""
        cursor = cursor or self.cursor()
        cursor.execute("BEGIN TRANSACTION")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            # A failed COMMIT, or an interrupt, has ended the transaction already.
            with _ignored(duckdb.Error):
                cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.close()

    def next_id(self) -> int:
        """A number for the name of a DuckDB table, larger than that of any other."""
        return next(self._ids)

    def _largest_id(self) -> int:
        # Read from the tables that there are: a sequence of DuckDB's forgets what it gave out
        # when the process is killed.
        row = self._root.execute(
            "SELECT max(CAST(table_name[2:] AS BIGINT)) FROM duckdb_tables() "
            "WHERE regexp_full_match(table_name, '[rst][0-9]+')"
        ).fetchone()
        return int(row[0]) if row and row[0] else 0

    def close(self) -> None:
        """Writes the log into the files and closes them."""
        self._root.close()


@contextmanager
def _ignored(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
