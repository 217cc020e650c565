"""Writes a month's kept and rejected rows as they are cleaned."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from taxi_platform.landing.footers import refusal_metadata, summary_metadata
from taxi_platform.landing.parquet_writer import parquet_file
from taxi_platform.trips.blocks import reject_schema
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.ordered_map import cpu_threads
from taxi_platform.trips.schema import trip_schema


def write_both(
    trips: CleanedTrips, kept_path: Path, rejected_path: Path, report: Callable[[int], None]
) -> None:
    """Writes both files; if the trips are refused, that of the rejected rows says so."""
    color = trips.month.color
    with (
        cpu_threads() as pool,
        parquet_file(kept_path, trip_schema(color), color, pool) as kept,
        parquet_file(rejected_path, reject_schema(color), color, pool) as rejected,
        closing(trips.batches(pool)) as batches,
    ):
        try:
            for batch in batches:
                kept.write(batch.kept)
                rejected.write(batch.rejected)
                report(trips.summary.rows_read)
        except TripFileError as error:
            rejected.finish(refusal_metadata(trips, str(error)))
            raise
        # Both say what the version is like: the kept rows may be deleted once they are loaded.
        kept.finish(summary_metadata(trips))
        rejected.finish(summary_metadata(trips))
