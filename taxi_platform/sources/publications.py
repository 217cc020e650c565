"""What a source of published files is, and what it says of a file; each has a module of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from taxi_platform.errors import PermanentStoreError
from taxi_platform.trips.month import TripMonth

RAW_ENDINGS = (".parquet", ".parquet.gz", ".csv.gz", ".csv")

UNVERSIONED = "unversioned"
"""The version of a file of whose version the server says nothing: it is never published anew."""

Report = Callable[[int, int | None], None]
"""Told the bytes so far and the bytes in all, the latter None if the server does not say."""


@dataclass(frozen=True)
class Published:
    """What a source says of a file.

    Attributes:
        url: where it was found.
        ending: one of ``RAW_ENDINGS``.
        etag: the server's version of it, if it gives one.
        last_modified: the server's time of it, as it spells it.
    """

    url: str
    ending: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def version(self) -> str:
        """What tells this file from an earlier or later one at the same address."""
        return self.etag or self.last_modified or UNVERSIONED


class TripSource(Protocol):
    """A place that publishes months of trips."""

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """Brings a month's file to a path, taking up where an earlier attempt broke off.

        Raises:
            PermanentStoreError: the month is not published.
            TransientStoreError: the source cannot be reached, or broke off.
        """
        ...

    def published(self, month: TripMonth) -> str | None:
        """The version of a month's file that is published now, None if none is; cheap.

        It is ``Published.version`` of a fetch at this moment.

        Raises:
            PermanentStoreError: the source refuses to say.
            TransientStoreError: the source cannot be reached.
        """
        ...


def ending_of(url: str) -> str:
    """The ending of a published file, from its address.

    Raises:
        PermanentStoreError: it is of no known format.
    """
    path = urlsplit(url).path
    for ending in RAW_ENDINGS:
        if path.endswith(ending):
            return ending
    raise PermanentStoreError(f"TAXI_SOURCE_URL: {url} ends in none of {', '.join(RAW_ENDINGS)}")
