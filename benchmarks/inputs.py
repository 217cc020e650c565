"""The inputs of the benchmarks: synthetic months, made once and kept."""

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.processes import PROJECT
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import publication_ending, write_synthetic_month

KEPT = Path(os.environ.get("TAXI_BENCH_DIR", PROJECT / ".taxi" / "bench")).absolute()

YELLOW = TripMonth.from_key("yellow|2021-01")

YELLOW_PARQUET = TripMonth.from_key("yellow|2024-01")
"""Of the time when the TLC publishes Parquet alone."""

WARM_UP = TripMonth.from_key("yellow|2020-12")
"""The month that warms up a worker; it has hardly any rows."""

WARM_UP_PARQUET = TripMonth.from_key("yellow|2023-12")

WARM_UP_ROWS = 100


def published(month: TripMonth, rows: int) -> Path:
    """A synthetic month as it was published at its time; one folder for each size."""
    path = folder_of(rows) / f"{month.stem}{publication_ending(month)}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_file = path.with_suffix(".partial")
        write_synthetic_month(month, partial_file, rows)
        partial_file.replace(path)
    return path


def folder_of(rows: int) -> Path:
    """The source of the months of that size."""
    return KEPT / "published" / str(rows)


def yellow_month(rows: int) -> Path:
    """The month that all contenders of a benchmark use."""
    return published(YELLOW, rows)


def warm_up_month(month: TripMonth, rows: int) -> None:
    """Publishes a month of a warm-up beside those of that size."""
    small = published(month, WARM_UP_ROWS)
    path = folder_of(rows) / small.name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small.read_bytes())


def cleaned_month(rows: int) -> TripParquet:
    """The month of that size, cleaned by us: what is loaded into Postgres."""
    landing = LandingZone(KEPT / "cleaned" / str(rows))
    if not landing.cleaned_path(YELLOW).exists():
        from taxi_platform.trips.cleaning import clean_trips

        landing.write_cleaned(clean_trips(yellow_month(rows), YELLOW))
    return landing.find_cleaned(YELLOW)


def cleaned_csv(rows: int) -> Path:
    """The same rows as plain CSV with a header."""
    path = KEPT / "cleaned" / str(rows) / f"{YELLOW.stem}.csv"
    if not path.exists():
        import pyarrow.csv as pa_csv
        import pyarrow.parquet as pq

        table = pq.read_table(cleaned_month(rows).path)
        partial_file = path.with_suffix(".partial")
        pa_csv.write_csv(table, partial_file, pa_csv.WriteOptions(quoting_style="none"))
        partial_file.replace(path)
    return path


def one_trip(month: TripMonth) -> Path:
    """A month with a single trip, since a file without trips is refused."""
    path = folder_of(1) / f"{month.stem}.csv.gz"
    if not path.exists():
        header, first = gzip.decompress(published(month, WARM_UP_ROWS).read_bytes()).splitlines(
            keepends=True
        )[:2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(header + first, mtime=0))
    return path


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Logs nothing."""


@contextmanager
def on_the_web(folder: Path) -> Iterator[str]:
    """Publishes a folder over HTTP on the loopback, and returns its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
