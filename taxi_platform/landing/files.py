"""Files in the landing zone: published files, and cleaned files.

``footers`` defines what their footers say; ``zone`` defines where the files are, and writes them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.footers import AcceptedVersion, summary_of
from taxi_platform.landing.source_notes import noted_source
from taxi_platform.landing.storage import Landed, LandedObject
from taxi_platform.landing.versions import (
    Expected,
    OtherVersionError,
    content_version,
    crc32c_once,
    other_version,
    sha256_once,
)
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.replacement import ReplacementLimits, differences
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.totals import MonthTotals
from taxi_platform.trips.types import trip_type


@dataclass(frozen=True)
class RawFile:
    """A published file, stored byte for byte.

    Attributes:
        month: color and month.
        path: the file.
        size: size in bytes.
        sha256: SHA-256 in hexadecimal.
        source: where it was published, without user, password and query; None if unknown.
        stored: its object, if the landing zone is in a bucket.
    """

    month: TripMonth
    path: Path
    size: int
    sha256: str
    source: str | None = None
    stored: LandedObject | None = None

    @classmethod
    def at(cls, month: TripMonth, landed: Landed) -> Self:
        """Returns a landed file. Its checksum is computed once per process."""
        path = landed.path
        sha256 = sha256_once(path)
        source = noted_source(path, sha256)
        return cls(month, path, path.stat().st_size, sha256, source, landed.stored)

    @property
    def version(self) -> str:
        """The version of its content, which is its data version."""
        return self.sha256


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
        stored: its object, if the landing zone is in a bucket.
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
    stored: LandedObject | None = None

    @classmethod
    def at(cls, month: TripMonth, landed: Landed, rejects_path: Path) -> Self:
        """Reads a landed file.

        Raises:
            FileNotFoundError: it does not exist.
            KeyError: this platform did not write it.
            pa.ArrowException, OSError: it is not a Parquet file, or cannot be read.
        """
        path = landed.path
        with pq.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            summary = summary_of(file.metadata.metadata)
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
            stored=landed.stored,
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
        return crc32c_once(self.path)

    @property
    def version(self) -> str:
        """The version of its content, which is its data version.

        Raises:
            OSError: the file cannot be read.
        """
        return content_version(self.path)

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

    def differences_from(self, accepted: AcceptedVersion) -> list[str]:
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
class MonthVersions:
    """A month as its checks see it.

    Attributes:
        latest: the version that was cleaned last, in its place or kept apart.
        accepted: the version that is in place, if the latest is kept apart and there is one.
    """

    latest: TripParquet
    accepted: AcceptedVersion | None

    @property
    def month(self) -> TripMonth:
        """Color and month."""
        return self.latest.month


def require_version(file: RawFile | TripParquet, expected: Expected | None, asset: str) -> None:
    """Refuses a version that is not the recorded one.

    Raises:
        OtherVersionError: it is not.
    """
    if expected is not None and file.version != expected.content:
        raise OtherVersionError(
            other_version(file.month, asset, file.version, expected, where=file.path)
        )
