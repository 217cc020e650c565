"""Where the files of a landing zone are kept. In a folder; ``bucket`` is the other implementation.

Files have names below the zone, such as ``cleaned/green/green_tripdata_2024-01.parquet``. What they
are is said in ``zone``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from taxi_platform.landing.versions import Expected
from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class LandedObject:
    """A landed file as an object.

    Attributes:
        name: its name in the bucket.
        uri: its address.
        generation: GCS's number of this version of the object.
        size: bytes.
        crc32c: checksum in GCS's format, base64.
        facts: what was recorded with it, by name.
    """

    name: str
    uri: str
    generation: int
    size: int
    crc32c: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Landed:
    """A landed file that can be read.

    Attributes:
        path: where it is on this host.
        stored: its object, if files are kept as objects and it is known.
    """

    path: Path
    stored: LandedObject | None = None


class LandingStorage(Protocol):
    """Keeps the files of a landing zone, whose folder on this host is ``root``.

    Every method raises ``StoreError`` if files cannot be reached.
    """

    root: Path

    def find(
        self, month: TripMonth, names: Sequence[str], expected: Expected | None = None
    ) -> Landed:
        """The file of a month that has one of some names, readable on this host.

        Args:
            month: color and month.
            names: its possible names; if several exist, the newest is meant.
            expected: the version to look for. If it is not there, another one may be returned.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def keep(self, month: TripMonth, name: str, source: str | None = None) -> LandedObject | None:
        """Keeps a file that was put into the folder; until then only this host has it.

        Args:
            month: color and month.
            name: the file.
            source: where it was published, if known.
        """
        ...

    def remove(self, month: TripMonth, names: Sequence[str]) -> None:
        """Removes files, if they are there."""
        ...


class FolderStorage:
    """The folder is all there is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(
        self,
        month: TripMonth,  # noqa: ARG002
        names: Sequence[str],
        expected: Expected | None = None,  # noqa: ARG002
    ) -> Landed:
        """See ``LandingStorage``."""
        there = [path for name in names if (path := self.root / name).exists()]
        if not there:
            raise FileNotFoundError(self.root / names[0])
        # A run killed as it changed from one format to another may have left both.
        return Landed(max(there, key=lambda path: path.stat().st_mtime_ns))

    def keep(self, month: TripMonth, name: str, source: str | None = None) -> None:
        """See ``LandingStorage``."""

    def remove(self, month: TripMonth, names: Sequence[str]) -> None:  # noqa: ARG002
        """See ``LandingStorage``."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)
