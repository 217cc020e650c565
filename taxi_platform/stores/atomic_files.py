"""Files that appear whole or not at all, and what a disk can answer instead.

A file is written beside its place, flushed to disk and renamed. Which files there are is the
landing zone's business.
"""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.trips.month import TripMonth


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Gives a path beside the target; renames it to the target if the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        yield partial
        publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def publish(partial: Path, target: Path) -> None:
    """Flushes a finished file to disk and renames it: readers see the old file or the new one."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(month: TripMonth) -> Iterator[None]:
    """Maps what the file system raises to the two kinds of store error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise PermanentStoreError(
                f"{month}: the disk of {error.filename or 'the landing zone'} is full: free some "
                "space or set TAXI_DATA_DIR to another disk; the earlier files are untouched"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermanentStoreError(
                f"{month}: cannot write to {error.filename}: {error.strerror}; give this user "
                "the right or set TAXI_DATA_DIR to another folder"
            ) from error
        if error.errno is None:
            raise
        raise TransientStoreError(f"{month}: {error.filename}: {error.strerror}") from error
