"""Gzipped CSV to Parquet: ours with all rules, rejects and statistics; the peers bare."""

import tempfile
from pathlib import Path

from benchmarks.contest import OURS, Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import YELLOW, yellow_month


def _platform(rows: int) -> Work:
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.trips.cleaning import clean_trips

    source = yellow_month(rows)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            LandingZone(Path(folder)).write_cleaned(clean_trips(source, YELLOW))

    return work


def _pandas(rows: int) -> Work:
    """The way of the tutorials: the whole file in memory, times converted, Parquet with gzip."""
    import pandas as pd

    source = yellow_month(rows)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            frame = pd.read_csv(source, compression="gzip", low_memory=False)
            for name in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
                frame[name] = pd.to_datetime(frame[name])
            frame.to_parquet(Path(folder) / "out.parquet", compression="gzip")

    return work


def _duckdb(rows: int) -> Work:
    import duckdb

    source = yellow_month(rows)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.parquet"
            duckdb.sql(f"COPY (FROM read_csv('{source}')) TO '{out}' (FORMAT parquet)")

    return work


def _polars(rows: int) -> Work:
    import polars as pl

    source = yellow_month(rows)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pl.scan_csv(source, try_parse_dates=True).sink_parquet(Path(folder) / "out.parquet")

    return work


BENCH = Bench(
    name="clean",
    rows=2_000_000,
    contenders=(
        Contender(OURS, _platform),
        Contender("duckdb", _duckdb),
        Contender("polars", _polars),
        Contender("pandas", _pandas),
    ),
    compare=seconds_by_theirs(OURS, "pandas", "duckdb", "polars"),
    inputs=yellow_month,
)
