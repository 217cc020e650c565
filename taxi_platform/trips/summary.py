"""What came of a published file: counts, statistics and what there is to say of it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from taxi_platform.trips.blocks import FirstFailure
from taxi_platform.trips.notes import Notes
from taxi_platform.trips.statistics import TripStatistics


@dataclass
class CleaningSummary:
    """What came of a file: exact, and the same however the rows were batched.

    Attributes:
        rows_read: rows in the file, header and blank lines not counted.
        rejected_by_reason: rows not kept, each counted once, under its first reason.
        statistics: what the kept rows are like.
        cents_rejected: sum by column of US dollars over the rejected rows, where it could be read,
            in cents.
        remarks: what there is to say of the file as a whole; sentences.
        notes: what there is to say of its rows.
        first_failure: the first thing that could not be read; not compared, since lines of CSV and
            rows of Parquet are counted otherwise.
        rejected_months: the months of the pickups of rejected rows, with their counts.
        duplicate_rows: kept rows that are equal to one before them in every column; counted when
            the file has been read, None where there was no room for counting.
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
        """Rows that broke no rule."""
        return self.statistics.rows

    @property
    def rows_rejected(self) -> int:
        """Rows not kept, for whatever reason."""
        return self.rejected_by_reason.total()

    @property
    def rejected_share(self) -> float:
        """Share of the rows read that was rejected, 0 to 1."""
        return self.rows_rejected / self.rows_read if self.rows_read else 0.0

    def describe_rejected(self) -> str:
        """The reasons with their counts, commonest first: ``zero_passengers 12, …``."""
        return ", ".join(f"{r} {n:,}" for r, n in self.rejected_by_reason.most_common()) or "none"

    @property
    def warnings(self) -> list[str]:
        """What a reader of the month should know though it was loaded; sentences with counts."""
        found = [*self.remarks, *self.notes.sentences()]
        if self.duplicate_rows is None:
            found.append("duplicate rows were not counted: there was no room for a temporary file")
        elif self.duplicate_rows:
            found.append(
                f"{self.duplicate_rows:,} of {self.rows_kept:,} rows are equal to one before them "
                "in every column; real months have no such rows"
            )
        return found
