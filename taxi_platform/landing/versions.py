"""Versions of landed files: by content, as materializations record them.

A step reads the version that was recorded, never what happens to lie in its place: another host may
have another one, or a killed run may have replaced it.
"""

import base64
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import sha256_of
from taxi_platform.sources.checksums import checksum_of
from taxi_platform.trips.month import TripMonth

RAW = "raw"
"""The folder of the published files in a landing zone."""


@dataclass(frozen=True)
class Expected:
    """The version of a file that a materialization recorded.

    Attributes:
        content: ``RawFile.version`` or ``TripParquet.version``.
        by: who recorded it, for messages, such as ``run 1b9d6bcd``.
        generation: the number of its object, if the landing zone is in a bucket.
    """

    content: str
    by: str
    generation: int | None = None


class OtherVersionError(PermanentStoreError):
    """A file is there, in another version than the recorded one."""


def other_version(
    month: TripMonth, asset: str, found: str, expected: Expected, *, where: object
) -> str:
    """The message that refuses a version which is not the recorded one.

    Args:
        month: color and month.
        asset: whose file it is, such as ``cleaned_trips``.
        found: the version that is there.
        expected: the version that should be.
        where: the file.
    """
    return (
        f"{month}: {where} is not the version of {asset} that was recorded last: {expected.by} "
        f"recorded {expected.content}, and there is {found}. Another host made that version, or "
        f"this file was replaced since: materialize {asset} for this partition again"
    )


def missing_version(
    month: TripMonth, asset: str, expected: Expected | None, *, where: object
) -> str:
    """The message that names a file that is not there."""
    if expected is None:
        return f"{month}: no {where}: materialize {asset} for this partition first"
    return (
        f"{month}: no {where}, though {expected.by} recorded version {expected.content}: it was "
        f"removed, or made on another host: materialize {asset} for this partition again"
    )


_sha256s: dict[tuple[int, ...], str] = {}


def sha256_once(path: Path) -> str:
    """A file's SHA-256, computed once per process even if the file is renamed."""
    state = path.stat()
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _sha256s:
        checksum = sha256_of(path)
        _sha256s.clear()
        _sha256s[key] = checksum
    return _sha256s[key]


def crc32c_once(path: Path) -> str:
    """A file's CRC32C as in GCS, in base64, computed once per process."""
    state = path.stat()
    return _crc32c_once(path, state.st_ino, state.st_size, state.st_mtime_ns)


def content_version(path: Path) -> str:
    """The version of a landed file by its content.

    A published file's SHA-256, which people compare with their own; of the platform's own Parquet
    CRC32C and size, as in GCS.
    """
    if RAW in path.parts[-3:-2]:
        return sha256_once(path)
    return f"{crc32c_once(path)}-{path.stat().st_size}"


@lru_cache(maxsize=8)
def _crc32c_once(path: Path, inode: int, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    return base64.b64encode(checksum_of(path, "crc32c")).decode()
