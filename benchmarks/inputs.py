"""The inputs of the benchmarks: synthetic months, made once and kept."""

import os
from pathlib import Path

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month

KEPT = Path(os.environ.get("TAXI_BENCH_DIR", ".taxi/bench"))

YELLOW = TripMonth.from_key("yellow|2021-01")


def yellow_month(rows: int) -> Path:
    """A synthetic yellow month as gzipped CSV."""
    path = KEPT / f"{YELLOW.stem}_{rows}.csv.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        write_synthetic_month(YELLOW, partial, rows)
        partial.replace(path)
    return path
