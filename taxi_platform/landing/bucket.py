"""Files of a landing zone as objects of a bucket; the folder of each host is a verified cache.

The objects are the truth. A file of the folder is only read if its checksum is that of the wanted
version, so a stale or damaged file is fetched anew. A client of the bucket is in ``stores``.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from taxi_platform.errors import TransientStoreError
from taxi_platform.landing.atomic_files import atomic_paths, disk_errors, writing
from taxi_platform.landing.names import CLEANED, FILE_NAME, REFUSED, REJECTED, own_files
from taxi_platform.landing.source_notes import note_source
from taxi_platform.landing.storage import Landed, LandedObject
from taxi_platform.landing.versions import RAW, Expected, content_version, crc32c_once
from taxi_platform.trips.month import TripMonth

VERSION, SOURCE = "version", "source"
"""What is recorded with an object: its version by content, and where it was published."""

IN_USE_SECONDS = 2 * 3600
"""Files that were used within this time stay in the folder: a run ends after an hour."""


class ObjectStore(Protocol):
    """The bucket. Every method raises ``StoreError`` if it refuses or cannot be reached."""

    def address(self, name: str) -> str:
        """The address of an object, whether or not it exists."""
        ...

    def find(
        self, month: TripMonth, name: str, generation: int | None = None
    ) -> LandedObject | None:
        """An object as it is now, or in this generation; None if there is none."""
        ...

    def upload(
        self, month: TripMonth, name: str, path: Path, crc32c: str, facts: Mapping[str, str]
    ) -> LandedObject:
        """Uploads a file, unless the object has this content and these facts."""
        ...

    def download(self, month: TripMonth, stored: LandedObject, path: Path) -> None:
        """Downloads the content of a generation into a file."""
        ...

    def delete(self, month: TripMonth, name: str) -> None:
        """Deletes an object, if it exists."""
        ...


class BucketStorage:
    """See ``LandingStorage``.

    Args:
        root: the folder of the cache.
        objects: the bucket.
        cache_bytes: how large the cache may become; files in use do not count.
    """

    def __init__(self, root: Path, objects: ObjectStore, cache_bytes: int) -> None:
        self.root = root
        self._objects = objects
        self._cache_bytes = cache_bytes

    def find(
        self, month: TripMonth, names: Sequence[str], expected: Expected | None = None
    ) -> Landed:
        """See ``LandingStorage``. A file of the recorded version is read without a request."""
        with disk_errors(month):
            landed = (expected and self._in_cache(names, expected)) or self._fetched(
                month, names, expected
            )
            _mark_used(landed.path)
        return landed

    def keep(self, month: TripMonth, name: str, source: str | None = None) -> LandedObject:
        """See ``LandingStorage``."""
        path = self.root / name
        with disk_errors(month):
            facts = {VERSION: content_version(path)} | ({SOURCE: source} if source else {})
            stored = self._objects.upload(month, name, path, crc32c_once(path), facts)
            self._make_room()
        return stored

    def remove(self, month: TripMonth, names: Sequence[str]) -> None:
        """See ``LandingStorage``."""
        for name in names:
            self._objects.delete(month, name)
            (self.root / name).unlink(missing_ok=True)

    def _in_cache(self, names: Sequence[str], expected: Expected) -> Landed | None:
        """The file of the recorded version, if this host has it."""
        for name in names:
            path = self.root / name
            if not path.exists() or content_version(path) != expected.content:
                continue
            if expected.generation is None:
                return Landed(path)
            stored = LandedObject(
                name=name,
                uri=self._objects.address(name),
                generation=expected.generation,
                size=path.stat().st_size,
                crc32c=crc32c_once(path),
            )
            return Landed(path, stored)
        return None

    def _fetched(self, month: TripMonth, names: Sequence[str], expected: Expected | None) -> Landed:
        """The newest of some objects, or the recorded version, in the folder."""
        found = [o for name in names if (o := self._objects.find(month, name))]
        stored = max(found, key=lambda o: o.generation, default=None)
        if expected and (stored is None or stored.facts.get(VERSION) != expected.content):
            stored = self._recorded(month, names, expected) or stored
        if stored is None:
            raise FileNotFoundError(self._objects.address(names[0]))
        path = self.root / stored.name
        if not _holds(path, stored):
            self._download(month, stored, path)
            self._make_room()
        return Landed(path, stored)

    def _recorded(
        self, month: TripMonth, names: Sequence[str], expected: Expected
    ) -> LandedObject | None:
        """The recorded generation: buckets with versions keep those that were replaced."""
        if expected.generation is None:
            return None
        found = (self._objects.find(month, name, expected.generation) for name in names)
        return next((o for o in found if o and o.facts.get(VERSION) == expected.content), None)

    def _download(self, month: TripMonth, stored: LandedObject, path: Path) -> None:
        # Beside the unfinished file of a writer, which may be the one that asks.
        fetched = path.with_name(f"fetched-{path.name}")
        with writing(path), atomic_paths(fetched, choose=lambda: [path]) as (partial,):
            self._objects.download(month, stored, partial)
            if not _holds(partial, stored):
                raise TransientStoreError(
                    f"{month}: {stored.uri} changed on its way: its checksum is not that of "
                    f"generation {stored.generation}; try again"
                )
            if source := stored.facts.get(SOURCE):
                note_source(path, stored.facts.get(VERSION, ""), source)

    def _make_room(self) -> None:
        """Removes what was not used for the longest time, until the cache is small enough."""
        now = time.time()
        files = []
        for path in own_files(self.root, (RAW, CLEANED, REJECTED, REFUSED), FILE_NAME):
            with suppress(FileNotFoundError):  # another process makes room as well
                stat = path.stat()
                files.append((stat.st_atime, stat.st_size, path))
        size = sum(size for _, size, _ in files)
        for used, bytes_, path in sorted(files):
            if size <= self._cache_bytes or used > now - IN_USE_SECONDS:
                return
            path.unlink(missing_ok=True)
            size -= bytes_


def _holds(path: Path, stored: LandedObject) -> bool:
    """Whether a file has the content of an object."""
    return (
        path.exists() and path.stat().st_size == stored.size and crc32c_once(path) == stored.crc32c
    )


def _mark_used(path: Path) -> None:
    # Mounts may not record reads. The time of the last change identifies a version.
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
