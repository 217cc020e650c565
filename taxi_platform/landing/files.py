"""Files in the landing zone: published files, and cleaned files with the summary in their footer.

``zone`` defines where the files are, and writes them.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import sha256_of
from taxi_platform.sources.address import SourceAddress, is_synthetic
from taxi_platform.sources.checksums import checksum_of
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.replacement import ReplacementLimits, differences
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.statistics import current_json
from taxi_platform.trips.totals import MonthTotals
from taxi_platform.trips.types import trip_type

SUMMARY_KEY = "taxi_platform.summary"
"""Parquet metadata key of a cleaned file's summary."""

REFUSAL_KEY = "taxi_platform.refusal"
"""Parquet metadata key of a refused file's error message, in the file of its rejected rows."""


@dataclass(frozen=True)
class RawFile:
    """A published file, stored byte for byte.

    Attributes:
        month: color and month.
        path: the file.
        size: size in bytes.
        sha256: SHA-256 in hexadecimal.
        source: where it was published, without user, password and query; None if unknown.
    """

    month: TripMonth
    path: Path
    size: int
    sha256: str
    source: str | None = None

    @classmethod
    def at(cls, month: TripMonth, path: Path) -> Self:
        """Returns the file at a path. Its checksum is computed once per process."""
        sha256 = sha256_once(path)
        return cls(month, path, path.stat().st_size, sha256, _noted_source(path, sha256))


def source_notes(path: Path) -> Path:
    """The path of the file that records where a published file came from."""
    return path.with_name(f"{path.name.partition('.')[0]}.source.json")


def note_source(path: Path, sha256: str, published_at: SourceAddress) -> None:
    """Records where a file was published: scheme, host and path, without possible secrets."""
    source_notes(path).write_text(json.dumps({"sha256": sha256, "source": str(published_at)}))


def _noted_source(path: Path, sha256: str) -> str | None:
    try:
        notes = json.loads(source_notes(path).read_text())
    except (OSError, ValueError):
        return None
    # A killed run may have left the record of another version.
    return notes.get("source") if notes.get("sha256") == sha256 else None


@dataclass(frozen=True)
class TripParquet:
    """A cleaned month on disk, with the summary in its footer.

    Attributes:
        month: color and month.
        path: the Parquet file.
        rejects_path: the Parquet file of the rejected rows of the same run.
        size: size in bytes.
        rows_read: rows in the published file.
        rejected_by_reason: rejected rows, each counted under its first reason.
        rows: rows kept, which are the rows of this file.
        max_rejected_share: the limit of the cleaning run, 0 to 1.
        statistics: statistics of the kept rows, in the form of ``TripStatistics.to_json``; sums
            are in cents.
        source_sha256: checksum of the published file that it was made from.
        source: where that file was published, if known.
        limits: how much it may differ from the version that it replaces.
        is_accepted: whether somebody accepted it regardless of differences.
        duplicate_rows: kept rows that duplicate an earlier one; None if they were not counted.
        warnings: warnings about values that were accepted; sentences.
        nameless_fields: fields of the published CSV that have values and no name, if a column of
            the month is missing.
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
    source: str | None = None
    limits: ReplacementLimits = field(default_factory=ReplacementLimits)
    is_accepted: bool = False
    duplicate_rows: int | None = None
    warnings: tuple[str, ...] = ()
    nameless_fields: tuple[str, ...] = ()

    @classmethod
    def at(cls, month: TripMonth, path: Path, rejects_path: Path) -> Self:
        """Reads the file at a path.

        Raises:
            FileNotFoundError: it does not exist.
            KeyError: this platform did not write it.
            pa.ArrowException, OSError: it is not a Parquet file, or cannot be read.
        """
        with pq.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            summary = _summary(file.metadata.metadata)
        return cls(
            month=month,
            path=path,
            rejects_path=rejects_path,
            size=path.stat().st_size,
            rows_read=summary["rows_read"],
            rejected_by_reason=summary["rejected_by_reason"],
            rows=rows,
            max_rejected_share=summary["max_rejected_share"],
            statistics=summary["statistics"],
            source_sha256=summary["source_sha256"],
            source=summary.get("source"),
            limits=ReplacementLimits.from_json(summary.get("limits")),
            is_accepted=summary.get("accepted", False),
            duplicate_rows=summary.get("duplicate_rows"),
            warnings=tuple(summary.get("warnings", ())),
            nameless_fields=tuple(summary.get("nameless_fields", ())),
        )

    @property
    def rows_rejected(self) -> int:
        """Number of rejected rows, as the cleaning run counted them."""
        return sum(self.rejected_by_reason.values())

    @property
    def rows_in_rejects(self) -> int:
        """Number of rows in the file of rejected rows.

        Raises:
            PermanentStoreError: the file is missing or damaged.
        """
        try:
            return int(pq.read_metadata(self.rejects_path).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise PermanentStoreError(
                f"{self.month}: {self.rejects_path} cannot be read ({error}): materialize "
                "cleaned_trips for this partition again"
            ) from error

    @property
    def crc32c(self) -> str:
        """CRC32C of the file as in GCS, in base64. Computed once per process.

        Raises:
            OSError: the file cannot be read.
        """
        state = self.path.stat()
        return _crc32c_once(self.path, state.st_ino, state.st_size, state.st_mtime_ns)

    @property
    def totals(self) -> MonthTotals:
        """The totals that its copies in the stores must have."""
        return MonthTotals.of_statistics(self.month.color, self.statistics)

    @property
    def total_cents(self) -> int | None:
        """Sum of ``TripType.total`` over the kept rows, in US cents.

        None if the trip type defines no total.
        """
        total = trip_type(self.month.color).total
        return None if total is None else self.totals.cents[total]

    def differences_from(self, accepted: "AcceptedVersion") -> list[str]:
        """Lists how this version differs from the accepted one beyond its limits.

        Empty if somebody accepted this version. Real and synthetic months are not compared.
        """
        if self.is_accepted or is_synthetic(self.source) != is_synthetic(accepted.source):
            return []
        return differences(accepted.statistics, self.statistics, self.limits)

    @property
    def columns_with_values(self) -> list[str]:
        """The columns that are not null in every row. Every month lacks some columns."""
        nulls = self.statistics["nulls"]
        names = trip_schema(self.month.color).names
        return [name for name in names if nulls.get(name, 0) < self.rows] or names


@dataclass(frozen=True)
class AcceptedVersion:
    """The version of a month that is currently accepted.

    Attributes:
        statistics: as in ``TripParquet``.
        source: where it was published, if known.
    """

    statistics: dict[str, Any]
    source: str | None

    @classmethod
    def in_footer(cls, path: Path) -> Self:
        """Reads it from the footer of the file of kept or of rejected rows; both contain it.

        Raises:
            KeyError: the footer does not contain it.
            pa.ArrowException, OSError: the file does not exist, or cannot be read.
        """
        summary = _summary(pq.read_metadata(path).metadata or {})
        return cls(summary["statistics"], summary.get("source"))


def is_of_platform(footer: pq.FileMetaData) -> bool:
    """Whether a Parquet file's footer has the summary that this platform writes."""
    return SUMMARY_KEY.encode() in (footer.metadata or {})


def totals_of_footer(month: TripMonth, footer: pq.FileMetaData) -> MonthTotals:
    """The totals of a Parquet file of trips; only rows if this platform did not write the file."""
    try:
        summary = _summary(footer.metadata or {})
    except KeyError:
        return MonthTotals(footer.num_rows, {})
    return MonthTotals.of_statistics(month.color, summary["statistics"])


def source_of_footer(footer: pq.FileMetaData) -> str | None:
    """Where the month in a Parquet file was published, if this platform wrote that down."""
    try:
        source: str | None = _summary(footer.metadata or {}).get("source")
    except KeyError:
        return None
    return source


def summary_metadata(trips: CleanedTrips) -> dict[str, str]:
    """The summary that is written into a cleaned file's footer.

    It contains nothing about the run, so the same source and options give the same bytes.

    Args:
        trips: the cleaned trips, iterated to the end.
    """
    summary = trips.summary
    facts = {
        "rows_read": summary.rows_read,
        "rejected_by_reason": dict(sorted(summary.rejected_by_reason.items())),
        "max_rejected_share": trips.options.max_rejected_share,
        "statistics": summary.statistics.to_json(),
        "source_sha256": trips.source_sha256,
        "source": trips.source,
        "limits": trips.options.replacement.to_json(),
        "accepted": trips.options.accept_replacement,
        "duplicate_rows": summary.duplicate_rows,
        "warnings": summary.warnings,
        "nameless_fields": trips.nameless_fields,
    }
    return {SUMMARY_KEY: json.dumps(facts)}


@dataclass(frozen=True)
class Refusal:
    """A month's published file that was refused, with its rejected rows.

    Attributes:
        month: color and month.
        path: the rejected rows, as far as the file was read.
        message: why the file was refused.
        rows_read: number of rows read before the file was refused.
        rejected_by_reason: rejected rows, each counted under its first reason.
    """

    month: TripMonth
    path: Path
    message: str
    rows_read: int
    rejected_by_reason: dict[str, int]

    @classmethod
    def at(cls, month: TripMonth, path: Path) -> Self:
        """Reads the refusal whose rejected rows are at a path.

        Raises:
            FileNotFoundError: the file does not exist.
            KeyError: this platform did not write it.
            pa.ArrowException, OSError: it is not a Parquet file, or cannot be read.
        """
        facts = json.loads(pq.read_metadata(path).metadata[REFUSAL_KEY.encode()])
        return cls(month, path, facts["message"], facts["rows_read"], facts["rejected_by_reason"])


def refusal_metadata(trips: CleanedTrips, message: str) -> dict[str, str]:
    """The metadata that is written into the footer of a refused file's rejected rows."""
    summary = trips.summary
    facts = {
        "message": message,
        "rows_read": summary.rows_read,
        "rejected_by_reason": dict(sorted(summary.rejected_by_reason.items())),
        "source_sha256": trips.source_sha256,
    }
    return {REFUSAL_KEY: json.dumps(facts)}


def _summary(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Parses the result of ``summary_metadata`` of this or an earlier version of the platform."""
    summary = json.loads(metadata[SUMMARY_KEY.encode()])
    return summary | {"statistics": current_json(summary["statistics"])}


_sha256s: dict[tuple[int, ...], str] = {}


def sha256_once(path: Path) -> str:
    """A file's SHA-256, computed once per process even if the file is renamed."""
    state = path.stat()
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _sha256s:
        checksum = sha256_of(path)
        _sha256s.clear()
        _sha256s[key] = checksum
    return _sha256s[key]


@lru_cache(maxsize=8)
def _crc32c_once(path: Path, inode: int, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    return base64.b64encode(checksum_of(path, "crc32c")).decode()
