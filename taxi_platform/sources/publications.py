"""The interface of sources of published files. Each source has a module of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taxi_platform.errors import PermanentStoreError
from taxi_platform.sources.address import SourceAddress
from taxi_platform.trips.month import TripMonth

RAW_ENDINGS = (".parquet", ".parquet.gz", ".csv.gz", ".csv")

UNVERSIONED = "unversioned"
"""The version of a file if the server sends no version: the file never counts as new."""

Report = Callable[[int, int | None], None]
"""Is called with the bytes so far and the total, which is None if the server does not send it."""


@dataclass(frozen=True)
class Published:
    """A source's facts about a file.

    Attributes:
        address: where it is.
        ending: one of ``RAW_ENDINGS``.
        etag: the server's version of it, if there is one.
        last_modified: the server's time of it, as sent.
    """

    address: SourceAddress
    ending: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def version(self) -> str:
        """Distinguishes this file from earlier and later ones at the same address."""
        return self.etag or self.last_modified or UNVERSIONED


class TripSource(Protocol):
    """A place that publishes months of trips."""

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """Downloads a month's file to a path; resumes an interrupted attempt.

        Raises:
            PermanentStoreError: the month is not published.
            TransientStoreError: the source cannot be reached, or the connection broke.
        """
        ...

    def published(self, month: TripMonth) -> str | None:
        """The version of a month's published file, None if it is not published; cheap.

        It equals ``Published.version`` of a fetch at this moment.

        Raises:
            PermanentStoreError: the source refuses the request.
            TransientStoreError: the source cannot be reached.
        """
        ...


def ending_of(address: SourceAddress) -> str:
    """The ending of a published file, from its address.

    Raises:
        PermanentStoreError: its format is unknown.
    """
    for ending in RAW_ENDINGS:
        if address.path.endswith(ending):
            return ending
    raise PermanentStoreError(
        f"TAXI_SOURCE_URL: {address} ends in none of {', '.join(RAW_ENDINGS)}"
    )
