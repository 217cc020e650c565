"""Synthetic months, generated on request."""

from pathlib import Path

from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.publications import UNVERSIONED, Published, Report
from taxi_platform.sources.unfinished_downloads import start_over
from taxi_platform.trips.month import TripMonth


class SyntheticSource:
    """Generates months, seeded by color and month. Not real trips: for the demo and tests."""

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        from taxi_platform.trips.synthetic import publication_ending, write_synthetic_month

        start_over(partial)
        write_synthetic_month(month, partial)
        size = partial.stat().st_size
        report(size, size)
        return Published(SourceAddress(f"synthetic:{month.stem}"), publication_ending(month))

    def published(self, month: TripMonth) -> str | None:  # noqa: ARG002
        """See ``TripSource.published``: every month is published, and never changes."""
        return UNVERSIONED
