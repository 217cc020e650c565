"""What the footers of landed Parquet files say: the summary of a cleaned month, and refusals.

``files`` describes the files themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq

from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.statistics import current_json
from taxi_platform.trips.totals import MonthTotals

SUMMARY_KEY = "taxi_platform.summary"
"""Parquet metadata key of a cleaned file's summary."""

REFUSAL_KEY = "taxi_platform.refusal"
"""Parquet metadata key of a refused file's error message, in the file of its rejected rows."""


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
        summary = summary_of(pq.read_metadata(path).metadata or {})
        return cls(summary["statistics"], summary.get("source"))


def is_of_platform(footer: pq.FileMetaData) -> bool:
    """Whether a Parquet file's footer has the summary that this platform writes."""
    return SUMMARY_KEY.encode() in (footer.metadata or {})


def totals_of_footer(month: TripMonth, footer: pq.FileMetaData) -> MonthTotals:
    """The totals of a Parquet file of trips; only rows if this platform did not write the file."""
    try:
        summary = summary_of(footer.metadata or {})
    except KeyError:
        return MonthTotals(footer.num_rows, {})
    return MonthTotals.of_statistics(month.color, summary["statistics"])


def source_of_footer(footer: pq.FileMetaData) -> str | None:
    """Where the month in a Parquet file was published, if this platform wrote that down."""
    try:
        source: str | None = summary_of(footer.metadata or {}).get("source")
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


def summary_of(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Parses the result of ``summary_metadata`` of this or an earlier version of the platform."""
    summary = json.loads(metadata[SUMMARY_KEY.encode()])
    return summary | {"statistics": current_json(summary["statistics"])}
