"""A process that repeats a query on a table, and prints each result.

Arguments: the store, its address, the query. An output line is a JSON array: the row of the result,
or ``["error", message]``, after which the process ends.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Ask = Callable[[], Sequence[Any]]

PAUSE_SECONDS = 0.02
"""Between two queries: on two cores, readers that never pause would starve the writer."""


def postgres_asker(conninfo: str, query: str) -> Ask:
    """Queries Postgres; waiting for a lock for more than a second is an error."""
    import psycopg

    connection = psycopg.connect(conninfo, autocommit=True)
    connection.execute("SET lock_timeout = '1s'")

    def ask() -> Sequence[Any]:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row

    return ask


def bigquery_asker(address: str, query: str) -> Ask:
    """Queries BigQuery; a query that fails is not retried."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from taxi_platform.stores.google import NO_RETRY

    client = bigquery.Client(
        project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": address}
    )

    def ask() -> Sequence[Any]:
        rows = client.query_and_wait(query, retry=NO_RETRY, job_retry=NO_RETRY)
        return next(iter(rows)).values()

    return ask


class Reader:
    """A running reader.

    Attributes:
        rows: every row that it has read so far.
        errors: their messages.
    """

    def __init__(self, store: str, address: str, query: str) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.errors: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, store, address, query],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            row = tuple(json.loads(line))
            if row[0] == "error":
                self.errors.append(row[1])
            else:
                self.rows.append(row)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def readers(store: str, address: str, queries: Sequence[str]) -> Iterator[list[Reader]]:
    """A reader for each query, for as long as the block lasts."""
    started = [Reader(store, address, query) for query in queries]
    try:
        yield started
    finally:
        for reader in started:
            reader.stop()


def main(store: str, address: str, query: str) -> None:
    """Asks until it is killed or something goes wrong."""
    try:
        ask = {"postgres": postgres_asker, "bigquery": bigquery_asker}[store](address, query)
        while True:
            _say(ask())
            time.sleep(PAUSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test has to hear of it
        _say(["error", f"{type(error).__name__}: {error}"])


def _say(row: Sequence[Any]) -> None:
    sys.stdout.write(json.dumps(list(row)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
