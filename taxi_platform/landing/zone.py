"""The landing zone: the published files, the cleaned Parquet and the rejected rows, on local disk.

How a file appears whole or not at all is the business of ``atomic_files``; what the rows mean is
decided in ``taxi_platform.trips``.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import (
    PARTIAL,
    atomic_paths,
    disk_errors,
    held,
    publish,
    sha256_of,
    unheld,
)
from taxi_platform.landing.parquet_writer import parquet_file
from taxi_platform.sources.checksums import checksum_of
from taxi_platform.sources.publications import RAW_ENDINGS
from taxi_platform.sources.unfinished_downloads import notes_of
from taxi_platform.trips.blocks import LINE_NUMBER, RAW_TEXT, REJECT_REASONS, reject_schema
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.expectations import CleanedMonth
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.totals import MonthTotals

SUMMARY_KEY = "taxi_platform.summary"
"""The Parquet key under which a cleaned file carries what came of its source."""


@dataclass(frozen=True)
class RawFile:
    """A published file, landed byte for byte."""

    month: TripMonth
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class TripParquet:
    """A cleaned month on disk, with what its footer says of it.

    Attributes:
        month: color and month.
        path: the Parquet file.
        rejects_path: the rejected rows of the same run.
        size: bytes.
        rows_read: rows in the published file.
        rejected_by_reason: rows rejected, each under its first reason.
        rows: rows kept, which are the file's rows.
        max_rejected_share: the limit that the cleaning held to, 0 to 1.
        statistics: what the kept rows are like, as ``TripStatistics.to_json`` gives it.
        source_sha256: checksum of the published file that it was made from.
    """

    month: TripMonth
    path: Path
    rejects_path: Path
    size: int
    rows_read: int
    rejected_by_reason: dict[str, int]
    rows: int
    max_rejected_share: float
    statistics: dict[str, Any]
    source_sha256: str | None

    @property
    def rows_rejected(self) -> int:
        """Rows of the published file that were not kept."""
        return sum(self.rejected_by_reason.values())

    @property
    def crc32c(self) -> str:
        """CRC32C of the file, as GCS spells it: base64 of the big-endian bytes."""
        return base64.b64encode(checksum_of(self.path, "crc32c")).decode()

    @property
    def total_amount(self) -> Decimal:
        """Sum of ``total_amount`` over the kept rows, in US dollars."""
        return Decimal(self.statistics["dollars"].get("total_amount", 0))

    @property
    def columns_with_values(self) -> list[str]:
        """The columns that are not null throughout: every month lacks some."""
        nulls = self.statistics["nulls"]
        names = trip_schema(self.month.color).names
        return [name for name in names if nulls.get(name, 0) < self.rows] or names

    @property
    def totals(self) -> MonthTotals:
        """What its copies in the stores must add up to."""
        return MonthTotals.of_statistics(self.month.color, self.statistics)

    def as_cleaned_month(self) -> CleanedMonth:
        """What is expected of a month is judged by this; rejected rows are counted in their file.

        Raises:
            PermanentStoreError: the file of rejected rows is not there or damaged.
        """
        try:
            rows_in_rejects = pq.read_metadata(self.rejects_path).num_rows
        except (pa.ArrowException, OSError) as error:
            raise PermanentStoreError(
                f"{self.month}: {self.rejects_path} cannot be read ({error}): materialize "
                "cleaned_trips for this partition again"
            ) from error
        return CleanedMonth(
            month=self.month,
            rows_read=self.rows_read,
            rows_in_file=self.rows,
            rows_in_rejects=rows_in_rejects,
            rejected_by_reason=self.rejected_by_reason,
            max_rejected_share=self.max_rejected_share,
            statistics=self.statistics,
        )


class LandingZone:
    """The files of every month below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def raw_path(self, month: TripMonth, ending: str) -> Path:
        """Where the published file of a month lies; ``ending`` is one of ``RAW_ENDINGS``."""
        return self.root / "raw" / month.color / f"{month.stem}{ending}"

    def cleaned_path(self, month: TripMonth) -> Path:
        """Where the cleaned Parquet of a month lies."""
        return self.root / "cleaned" / month.color / f"{month.stem}.parquet"

    def rejected_path(self, month: TripMonth) -> Path:
        """Where the rejected rows of a month lie."""
        return self.root / "rejected" / month.color / f"{month.stem}.parquet"

    def publish_raw(self, month: TripMonth, ending: str, partial: Path) -> RawFile:
        """Puts a downloaded, verified file in its place, instead of any earlier one."""
        target = self.raw_path(month, ending)
        publish(partial, target)
        for other in RAW_ENDINGS:
            if other != ending:
                self.raw_path(month, other).unlink(missing_ok=True)
        return self.find_raw(month)

    def find_raw(self, month: TripMonth) -> RawFile:
        """The landed file of a month.

        Raises:
            PermanentStoreError: there is none.
        """
        there = [p for e in RAW_ENDINGS if (p := self.raw_path(month, e)).exists()]
        if there:
            # A run killed as it changed from one format to another may have left both.
            path = max(there, key=lambda p: p.stat().st_mtime_ns)
            state = path.stat()
            sha256 = _sha256_once(path, state.st_ino, state.st_size, state.st_mtime_ns)
            return RawFile(month, path, state.st_size, sha256)
        raise PermanentStoreError(
            f"{month}: no published file in {self.root / 'raw' / month.color}: "
            "materialize raw_trips for this partition first"
        )

    def find_cleaned(self, month: TripMonth) -> TripParquet:
        """The cleaned Parquet of a month.

        Raises:
            PermanentStoreError: there is none, or it was not written by this platform.
        """
        path = self.cleaned_path(month)
        try:
            with pq.ParquetFile(path) as file:
                rows = file.metadata.num_rows
                summary = json.loads(file.metadata.metadata[SUMMARY_KEY.encode()])
        except FileNotFoundError:
            raise PermanentStoreError(
                f"{month}: no cleaned file at {path}: materialize cleaned_trips for this "
                "partition first"
            ) from None
        except (pa.ArrowException, KeyError, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {path} is not a cleaned file of this platform ({error}): materialize "
                "cleaned_trips for this partition again"
            ) from error
        return TripParquet(
            month=month,
            path=path,
            rejects_path=self.rejected_path(month),
            size=path.stat().st_size,
            rows_read=summary["rows_read"],
            rejected_by_reason=summary["rejected_by_reason"],
            rows=rows,
            max_rejected_share=summary["max_rejected_share"],
            statistics=summary["statistics"],
            source_sha256=summary["source_sha256"],
        )

    def write_cleaned(
        self,
        trips: CleanedTrips,
        report: Callable[[int], None] = lambda _: None,
    ) -> TripParquet:
        """Writes a month's kept and rejected rows, replacing both files only if all went well.

        Args:
            trips: the stream of cleaned batches; consumed, and closed in any case.
            report: told the rows read so far, after each block.

        Raises:
            TripFileError: the published file is damaged or too many rows were rejected.
            PermanentStoreError: the disk is full or not writable.
        """
        month = trips.month
        # The kept rows last: what they say of the rejected ones is then true.
        targets = self.rejected_path(month), self.cleaned_path(month)
        with (
            closing(trips),
            disk_errors(month),
            atomic_paths(*targets) as (rejected_partial, kept_partial),
            parquet_file(kept_partial, trip_schema(month.color)) as kept,
            parquet_file(rejected_partial, reject_schema(month.color)) as rejected,
            closing(iter(trips)) as batches,
        ):
            for batch in batches:
                kept.write(batch.kept)
                rejected.write(batch.rejected)
                report(trips.summary.rows_read)
            kept.finish({SUMMARY_KEY: _summary_json(trips)})
            rejected.finish()
        return self.find_cleaned(month)

    def reject_examples(self, month: TripMonth, most: int) -> dict[str, list[dict[str, Any]]]:
        """Some rejected rows of a month by their first reason.

        Args:
            month: color and month.
            most: rows of each reason.

        Returns:
            For each reason, rows as ``line_number``, ``reasons`` and ``text``: the published
            line, or where there is none what could be read of the row.

        Raises:
            PermanentStoreError: the file of rejected rows is not there or damaged.
        """
        path = self.rejected_path(month)
        found: dict[str, list[dict[str, Any]]] = {}
        try:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(4096):
                    for row in batch.to_pylist():
                        rows = found.setdefault(row[REJECT_REASONS][0], [])
                        if len(rows) < most:
                            rows.append(_example(row))
        except (pa.ArrowException, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {path} cannot be read ({error}): materialize cleaned_trips for this "
                "partition again"
            ) from error
        return found

    def abandoned(self) -> Iterator[Path]:
        """The unfinished files that killed runs left; the next run of their month replaces them."""
        return (path for path in unheld(self.root) if not _is_resumable(path))

    def resumable(self) -> Iterator[Path]:
        """The downloads that broke off; the next run of their month takes them up."""
        return filter(_is_resumable, unheld(self.root))

    @contextmanager
    def raw_partial(self, month: TripMonth) -> Iterator[Path]:
        """The unfinished download of a month, held by one process at a time.

        It outlives a broken download, so that the next attempt can resume it.
        """
        path = self.root / "raw" / month.color / f".{month.stem}{PARTIAL}"
        with disk_errors(month), held(path):
            yield path


def _is_resumable(partial: Path) -> bool:
    return notes_of(partial).exists()


@lru_cache(maxsize=1)
def _sha256_once(path: Path, inode: int, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    """A file's checksum, where the step before this one, in the same process, has not taken it."""
    return sha256_of(path)


def totals_of_footer(month: TripMonth, footer: pq.FileMetaData) -> MonthTotals:
    """What a Parquet file of trips holds; rows only, if this platform did not write it."""
    summary = (footer.metadata or {}).get(SUMMARY_KEY.encode())
    if summary is None:
        return MonthTotals(footer.num_rows, {})
    return MonthTotals.of_statistics(month.color, json.loads(summary)["statistics"])


def _example(row: dict[str, Any]) -> dict[str, Any]:
    reasons, line, text = row.pop(REJECT_REASONS), row.pop(LINE_NUMBER), row.pop(RAW_TEXT)
    read = ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
    return {"line_number": line, "reasons": reasons, "text": text or read}


def _summary_json(trips: CleanedTrips) -> str:
    summary = trips.summary
    # Nothing of the run itself: the same source and options give the same bytes.
    return json.dumps(
        {
            "rows_read": summary.rows_read,
            "rejected_by_reason": dict(sorted(summary.rejected_by_reason.items())),
            "max_rejected_share": trips.options.max_rejected_share,
            "statistics": summary.statistics.to_json(),
            "source_sha256": trips.source_sha256,
        }
    )
