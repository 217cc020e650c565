"""Gzipped CSV to Parquet: ours with all rules, rejects and statistics; the peers bare."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.inputs import YELLOW


def _platform(source: Path) -> None:
    from taxi_platform.stores.files import LandingZone
    from taxi_platform.trips.cleaning import clean_trips

    with tempfile.TemporaryDirectory() as folder:
        LandingZone(Path(folder)).write_cleaned(clean_trips(source, YELLOW))


def _pandas(source: Path) -> None:
    """The way of most tutorials: the whole file in memory, times converted, written at once."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        frame = pd.read_csv(source, compression="gzip", low_memory=False)
        for name in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
            frame[name] = pd.to_datetime(frame[name])
        frame.to_parquet(Path(folder) / "out.parquet")


def _duckdb(source: Path) -> None:
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.parquet"
        duckdb.sql(f"COPY (FROM read_csv('{source}')) TO '{out}' (FORMAT parquet)")


CONTENDERS: dict[str, Callable[[Path], None]] = {
    "taxi_platform": _platform,
    "duckdb": _duckdb,
    "pandas": _pandas,
}
