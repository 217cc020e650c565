"""Parquet to Parquet: ours with all rules, rejects and statistics; the peers with the same filter.

DuckDB and Polars choose the same rows and cast to the same types, in one statement; they keep no
rejected rows, count nothing and look for no duplicates. ``duckdb_bare`` only copies.
"""

import tempfile
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import OURS, Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import YELLOW_PARQUET as MONTH
from benchmarks.inputs import published
from benchmarks.processes import Facts

if TYPE_CHECKING:
    import polars as pl


_SQL = {"int16": "SMALLINT", "double": "DOUBLE", "timestamp[us]": "TIMESTAMP", "string": "VARCHAR"}


def _source(rows: int) -> Path:
    return published(MONTH, rows)


def _columns(source: Path) -> dict[str, tuple[str, str]]:
    """The canonical columns that the file has: each one's published name, and its type."""
    import pyarrow.parquet as pq

    from taxi_platform.trips.schema import map_columns

    mapped = map_columns(pq.read_schema(source).names, MONTH.color, source.name).mapped
    return {column.name: (name, str(column.type)) for name, column in mapped.items()}


def _bounds() -> tuple[datetime, datetime]:
    """Between which pickups are kept: a week around the month, as by default."""
    week = timedelta(days=7)
    first, past = (datetime.combine(day, time()) for day in (MONTH.month, MONTH.following))
    return first - week, past + week


def _measured(write: Callable[[Path], object]) -> Work:
    """The work of writing a file, which says how large it is and how many rows it has."""
    import pyarrow.parquet as pq

    def work() -> Facts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out.parquet"
            write(path)
            size, kept = path.stat().st_size, pq.read_metadata(path).num_rows
        return {"rows_kept": kept, "file_mb": size / 1e6}

    return work


def _platform(rows: int) -> Work:
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.trips.cleaning import clean_trips

    source = _source(rows)

    def write(path: Path) -> None:
        LandingZone(path.parent).write_cleaned(clean_trips(source, MONTH)).path.rename(path)

    return _measured(write)


def _duckdb(rows: int) -> Work:
    import duckdb

    source, (first, past) = _source(rows), _bounds()
    columns = _columns(source)
    chosen = ", ".join(
        f'CAST("{published}" AS {_SQL[type_]}) AS {name}'
        for name, (published, type_) in columns.items()
    )
    chosen = chosen.replace(
        'CAST("passenger_count" AS SMALLINT)',
        'COALESCE(CAST("passenger_count" AS SMALLINT), 0)',
    )
    query = (
        f"SELECT {chosen}, DATE '{MONTH.month}' AS data_file_month FROM read_parquet('{source}') "
        f"WHERE tpep_pickup_datetime >= TIMESTAMP '{first}' "
        f"AND tpep_pickup_datetime < TIMESTAMP '{past}' "
        "AND tpep_dropoff_datetime >= tpep_pickup_datetime "
        "AND trip_distance IS NOT NULL AND fare_amount IS NOT NULL AND total_amount IS NOT NULL "
        "AND (passenger_count IS NULL OR passenger_count <> 0)"
    )
    return _measured(lambda path: duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)"))


def _duckdb_bare(rows: int) -> Work:
    import duckdb

    source = _source(rows)
    return _measured(
        lambda path: duckdb.sql(
            f"COPY (FROM read_parquet('{source}')) TO '{path}' (FORMAT parquet)"
        )
    )


def _polars(rows: int) -> Work:
    import polars as pl

    source, (first, past) = _source(rows), _bounds()
    types: dict[str, type[pl.DataType]] = {
        "int16": pl.Int16,
        "double": pl.Float64,
        "timestamp[us]": pl.Datetime,
        "string": pl.String,
    }
    columns = _columns(source)
    pickup = pl.col("tpep_pickup_datetime")

    def passengers_filled(name: str) -> "pl.Expr":
        cast = pl.col(columns[name][0]).cast(types[columns[name][1]]).alias(name)
        return cast.fill_null(0) if name == "passenger_count" else cast

    def write(path: Path) -> None:
        pl.scan_parquet(source).filter(
            pickup >= first,
            pickup < past,
            pl.col("tpep_dropoff_datetime") >= pickup,
            pl.all_horizontal(pl.col("trip_distance", "fare_amount", "total_amount").is_not_null()),
            pl.col("passenger_count").is_null() | (pl.col("passenger_count") != 0),
        ).select(
            *(passengers_filled(name) for name in columns),
            pl.lit(MONTH.month).alias("data_file_month"),
        ).sink_parquet(path)

    return _measured(write)


def _pandas(rows: int) -> Work:
    """The whole file in memory, filtered and written."""
    import pandas as pd

    source, (first, past) = _source(rows), _bounds()

    def write(path: Path) -> None:
        frame = pd.read_parquet(source)
        pickup = frame["tpep_pickup_datetime"]
        kept = frame[
            (pickup >= first)
            & (pickup < past)
            & (frame["tpep_dropoff_datetime"] >= pickup)
            & (frame["passenger_count"] != 0)
        ]
        kept.to_parquet(path)

    return _measured(write)


BENCH = Bench(
    name="clean_parquet",
    rows=3_000_000,
    contenders=(
        Contender(OURS, _platform),
        Contender("duckdb", _duckdb),
        Contender("duckdb_bare", _duckdb_bare),
        Contender("polars", _polars),
        Contender("pandas", _pandas),
    ),
    compare=seconds_by_theirs(OURS, "pandas", "duckdb", "polars"),
    inputs=_source,
)
