"""Which buckets and objects there are: one SQLite file.

The commit of a transaction is the moment at which an object appears, changes or goes.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from gcs_emulator.storage.records import ObjectRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_us INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL REFERENCES buckets, name TEXT NOT NULL,
    generation INTEGER NOT NULL UNIQUE, metageneration INTEGER NOT NULL, size INTEGER NOT NULL,
    md5 TEXT NOT NULL, crc32c TEXT NOT NULL, created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL, properties TEXT NOT NULL, PRIMARY KEY (bucket, name));
CREATE TABLE IF NOT EXISTS last_generation (number INTEGER NOT NULL);
INSERT INTO last_generation SELECT 0 WHERE NOT EXISTS (SELECT * FROM last_generation);
"""
_FIND = "SELECT * FROM objects WHERE bucket = ? AND name = ?"
_FROM = "SELECT * FROM objects WHERE bucket = ? AND name >= ? ORDER BY name LIMIT ?"
_AFTER = "SELECT * FROM objects WHERE bucket = ? AND name > ? ORDER BY name LIMIT ?"
_PUT = "REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FIELDS = [field.name for field in fields(ObjectRecord)]
_PAGE = 1000


class Catalog:
    """The catalog in one file; one thread at a time uses it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end, and changes nothing if the body raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def next_generation(self) -> int:
        """A number that is larger than all before, whatever the clock says: microseconds."""
        (row,) = self._rows(
            "UPDATE last_generation SET number = max(number + 1, ?) RETURNING number", now_us()
        )
        return int(row[0])

    def buckets(self) -> dict[str, int]:
        """The buckets by name, with the time of each one's creation."""
        return {str(r[0]): int(r[1]) for r in self._rows("SELECT * FROM buckets ORDER BY name")}

    def add_bucket(self, name: str) -> None:
        """Adds a bucket that does not exist."""
        self._rows("INSERT INTO buckets VALUES (?, ?)", name, now_us())

    def remove_bucket(self, name: str) -> None:
        """Removes a bucket without objects."""
        self._rows("DELETE FROM buckets WHERE name = ?", name)

    def find(self, bucket: str, name: str) -> ObjectRecord | None:
        """The current version of an object."""
        rows = self._rows(_FIND, bucket, name)
        return _record(rows[0]) if rows else None

    def objects(self, bucket: str, start: str = "") -> Iterator[ObjectRecord]:
        """The objects of a bucket from a name on, in the order of their names' bytes."""
        statement = _FROM
        while True:
            rows = self._rows(statement, bucket, start, _PAGE)
            yield from map(_record, rows)
            if len(rows) < _PAGE:
                return
            statement, start = _AFTER, rows[-1][1]

    def put(self, record: ObjectRecord) -> None:
        """Adds an object, or replaces its earlier version."""
        *fixed, properties = vars(record).values()
        self._rows(_PUT, *fixed, json.dumps(properties))

    def remove(self, bucket: str, name: str) -> None:
        """Removes an object."""
        self._rows("DELETE FROM objects WHERE bucket = ? AND name = ?", bucket, name)

    def generations(self) -> set[int]:
        """The generations of all objects."""
        return {int(row[0]) for row in self._rows("SELECT generation FROM objects")}

    def _rows(self, statement: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def now_us() -> int:
    """The time in microseconds since 1970."""
    return time.time_ns() // 1000


def _record(row: tuple) -> ObjectRecord:
    values = dict(zip(_FIELDS, row, strict=True))
    values["properties"] = json.loads(values["properties"])
    return ObjectRecord(**values)
