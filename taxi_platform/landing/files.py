"""What a landed file is: published, byte for byte, or cleaned, with what its footer says of it.

Where files lie, and how they get there, is the business of ``zone``.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import sha256_of
from taxi_platform.sources.checksums import checksum_of
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.replacement import ReplacementLimits, differences
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.statistics import current_json
from taxi_platform.trips.totals import MonthTotals
from taxi_platform.trips.types import trip_type

SUMMARY_KEY = "taxi_platform.summary"
"""The Parquet key under which a cleaned file carries what came of its source."""

REFUSAL_KEY = "taxi_platform.refusal"
"""The Parquet key under which the rejected rows of a refused file say why it was refused."""


@dataclass(frozen=True)
class RawFile:
    """A published file, landed byte for byte.

    Attributes:
        month: color and month.
        path: the file.
        size: bytes.
        sha256: checksum, in hexadecimal.
        source: where it was published, without user, password and query; None if that is not
            known.
    """

    month: TripMonth
    path: Path
    size: int
    sha256: str
    source: str | None = None

    @classmethod
    def at(cls, month: TripMonth, path: Path) -> Self:
        """The file at a path; its checksum is computed once in a process."""
        sha256 = sha256_once(path)
        return cls(month, path, path.stat().st_size, sha256, _noted_source(path, sha256))


def source_notes(path: Path) -> Path:
    """Where it is noted of a published file where it was published."""
    return path.with_name(f"{path.name.partition('.')[0]}.source.json")


def note_source(path: Path, sha256: str, url: str) -> None:
    """Notes where a file was published: scheme, host and path, nothing that may be a secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    place = f"{host}:{parts.port}" if parts.port else host
    source = urlunsplit((parts.scheme, place, parts.path, "", ""))
    source_notes(path).write_text(json.dumps({"sha256": sha256, "source": source}))


def _noted_source(path: Path, sha256: str) -> str | None:
    try:
        notes = json.loads(source_notes(path).read_text())
    except (OSError, ValueError):
        return None
    # What a killed run left may be of another version.
    return notes.get("source") if notes.get("sha256") == sha256 else None


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
        statistics: what the kept rows are like, as ``TripStatistics.to_json`` gives it; sums are
            in cents.
        source_sha256: checksum of the published file that it was made from.
        source: where that was published, if it is known.
        limits: how far it may differ from the version that it takes the place of.
        is_accepted: whether somebody accepted it however it differs.
        duplicate_rows: kept rows that are equal to one before them; None if they were not counted.
        warnings: what was read all the same and should be known; sentences.
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

    @classmethod
    def at(cls, month: TripMonth, path: Path, rejects_path: Path) -> Self:
        """The file at a path.

        Raises:
            FileNotFoundError: there is none.
            KeyError: it was not written by this platform.
            pa.ArrowException, OSError: it is no Parquet file, or cannot be read.
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
        )

    @property
    def rows_rejected(self) -> int:
        """Rows of the published file that were not kept, as the cleaning counted them."""
        return sum(self.rejected_by_reason.values())

    @property
    def rows_in_rejects(self) -> int:
        """Rows in the file of rejected rows, counted there.

        Raises:
            PermanentStoreError: it is not there or damaged.
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
        """CRC32C of the file as GCS spells it, base64; computed once in a process.

        Raises:
            OSError: the file cannot be read.
        """
        state = self.path.stat()
        return _crc32c_once(self.path, state.st_ino, state.st_size, state.st_mtime_ns)

    @property
    def totals(self) -> MonthTotals:
        """What its copies in the stores must add up to."""
        return MonthTotals.of_statistics(self.month.color, self.statistics)

    @property
    def total_cents(self) -> int | None:
        """Sum over the kept rows of the amount that stands for a trip, in US cents.

        None if these trips have none: see ``TripType.total``.
        """
        total = trip_type(self.month.color).total
        return None if total is None else self.totals.cents[total]

    def differences_from(self, accepted: "AcceptedVersion") -> list[str]:
        """How this version differs from the accepted one beyond its limits.

        No differences if somebody accepted it. A real month is not compared with a synthetic one.
        """
        if self.is_accepted or _is_synthetic(self.source) != _is_synthetic(accepted.source):
            return []
        return differences(accepted.statistics, self.statistics, self.limits)

    @property
    def columns_with_values(self) -> list[str]:
        """The columns that are not null throughout: every month lacks some."""
        nulls = self.statistics["nulls"]
        names = trip_schema(self.month.color).names
        return [name for name in names if nulls.get(name, 0) < self.rows] or names


@dataclass(frozen=True)
class AcceptedVersion:
    """What is known of the version of a month that is in place.

    Attributes:
        statistics: as in ``TripParquet``.
        source: where it was published, if that is known.
    """

    statistics: dict[str, Any]
    source: str | None

    @classmethod
    def in_footer(cls, path: Path) -> Self:
        """From the footer of the kept or of the rejected rows: both have it.

        Raises:
            KeyError: it is not there.
            pa.ArrowException, OSError: there is no such file, or it cannot be read.
        """
        summary = _summary(pq.read_metadata(path).metadata or {})
        return cls(summary["statistics"], summary.get("source"))


def _is_synthetic(source: str | None) -> bool:
    return source is not None and source.startswith("synthetic:")


def totals_of_footer(month: TripMonth, footer: pq.FileMetaData) -> MonthTotals:
    """What a Parquet file of trips holds; rows only, if this platform did not write it."""
    try:
        summary = _summary(footer.metadata or {})
    except KeyError:
        return MonthTotals(footer.num_rows, {})
    return MonthTotals.of_statistics(month.color, summary["statistics"])


def summary_metadata(trips: CleanedTrips) -> dict[str, str]:
    """What the footer of a cleaned file says of it.

    Nothing of the run itself: the same source and options give the same bytes.

    Args:
        trips: cleaned to the end.
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
    }
    return {SUMMARY_KEY: json.dumps(facts)}


@dataclass(frozen=True)
class Refusal:
    """A month's file that was refused, with its rejected rows.

    Attributes:
        month: color and month.
        path: the rejected rows, as far as the file was read.
        message: why it was refused.
        rows_read: rows of the file, as far as it was read.
        rejected_by_reason: rows rejected, each under its first reason.
    """

    month: TripMonth
    path: Path
    message: str
    rows_read: int
    rejected_by_reason: dict[str, int]

    @classmethod
    def at(cls, month: TripMonth, path: Path) -> Self:
        """The refusal whose rejected rows are at a path.

        Raises:
            FileNotFoundError: there is none.
            KeyError: it was not written by this platform.
            pa.ArrowException, OSError: it is no Parquet file, or cannot be read.
        """
        facts = json.loads(pq.read_metadata(path).metadata[REFUSAL_KEY.encode()])
        return cls(month, path, facts["message"], facts["rows_read"], facts["rejected_by_reason"])


def refusal_metadata(trips: CleanedTrips, message: str) -> dict[str, str]:
    """What the footer of a refused file's rejected rows says of it."""
    summary = trips.summary
    facts = {
        "message": message,
        "rows_read": summary.rows_read,
        "rejected_by_reason": dict(sorted(summary.rejected_by_reason.items())),
        "source_sha256": trips.source_sha256,
    }
    return {REFUSAL_KEY: json.dumps(facts)}


def _summary(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What ``summary_metadata`` said, in this version of the platform or an earlier one."""
    summary = json.loads(metadata[SUMMARY_KEY.encode()])
    return summary | {"statistics": current_json(summary["statistics"])}


_sha256s: dict[tuple[int, ...], str] = {}


def sha256_once(path: Path) -> str:
    """A file's SHA-256, computed once in a process, whatever name the file has by then."""
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
