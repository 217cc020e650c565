"""The summary of cleaning a file: counts, statistics and warnings."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from taxi_platform.trips.blocks import FirstFailure
from taxi_platform.trips.notes import Notes
from taxi_platform.trips.statistics import TripStatistics


@dataclass
class CleaningSummary:
    """The summary of cleaning a file. Exact, and independent of the block size.

    Attributes:
        rows_read: rows in the file, without the header and blank lines.
        rejected_by_reason: rejected rows, each counted once, under its first reason.
        statistics: statistics of the kept rows.
        cents_rejected: sum by column of US dollars over the rejected rows that could be parsed, in
            cents.
        remarks: warnings about the file as a whole; sentences.
        notes: warnings about its rows.
        first_failure: the first value or line that could not be parsed. Not compared, because CSV
            counts lines and Parquet counts rows.
        rejected_months: number of rejected rows by month of pickup.
        duplicate_rows: kept rows that duplicate an earlier one in every column; set at the end of
            the file. None if they were not counted because the disk was full.
    """

    rows_read: int = 0
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    statistics: TripStatistics = field(default_factory=TripStatistics)
    cents_rejected: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    first_failure: FirstFailure | None = field(default=None, compare=False)
    rejected_months: Counter[date] = field(default_factory=Counter)
    duplicate_rows: int | None = 0

    @property
    def rows_kept(self) -> int:
        """Number of rows that were kept."""
        return self.statistics.rows

    @property
    def rows_rejected(self) -> int:
        """Number of rows that were rejected."""
        return self.rejected_by_reason.total()

    @property
    def rejected_share(self) -> float:
        """Share of the rows read that were rejected, 0 to 1."""
        return self.rows_rejected / self.rows_read if self.rows_read else 0.0

    def describe_rejected(self) -> str:
        """The reasons with their counts, most common first: ``zero_passengers 12, …``."""
        return ", ".join(f"{r} {n:,}" for r, n in self.rejected_by_reason.most_common()) or "none"

    @property
    def warnings(self) -> list[str]:
        """Warnings about a month that was cleaned successfully; sentences with counts."""
        found = [*self.remarks, *self.notes.sentences()]
        if self.duplicate_rows is None:
            found.append("duplicate rows were not counted: no disk space for a temporary file")
        elif self.duplicate_rows:
            found.append(
                f"{self.duplicate_rows:,} of {self.rows_kept:,} rows duplicate an earlier row in "
                "every column; real months have no duplicates"
            )
        return found
