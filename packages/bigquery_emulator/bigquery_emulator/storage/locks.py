"""The locks between writers."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class WriteLocks:
    """Keeps writers of one table apart, and the deletion of a dataset apart from all writers.

    DuckDB lets two transactions write one table and fails the second at its commit. BigQuery lets
    them wait, and so do these locks. Readers take none.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._writers = 0
        self._exclusive = False
        self._tables: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def held_for(self, *key: str, wait: bool = True) -> Iterator[bool]:
        """Held while one table, or the entry of one dataset, is written.

        Args:
            key: what is written.
            wait: whether to wait for others that write it. If not, and there are others, the lock
                is not held, and the value is false.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._exclusive)
            self._writers += 1
            lock = self._tables[key]
        held = lock.acquire(blocking=wait)
        try:
            yield held
        finally:
            if held:
                lock.release()
            with self._condition:
                self._writers -= 1
                self._condition.notify_all()

    @contextmanager
    def held_for_everything(self) -> Iterator[None]:
        """Held while a dataset is deleted with its tables."""
        with self._condition:
            self._condition.wait_for(lambda: not self._exclusive)
            self._exclusive = True
            self._condition.wait_for(lambda: self._writers == 0)
        try:
            yield
        finally:
            with self._condition:
                self._exclusive = False
                self._condition.notify_all()
