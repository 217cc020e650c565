"""Files that appear whole or not at all, and errors of the disk.

A file is written under a temporary name in the same folder, flushed to disk and renamed. One
process at a time locks the temporary file, and overwrites what a killed run left behind. The
landing zone defines which files there are.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.trips.month import TripMonth

PARTIAL = ".partial"

WRITER_WAIT_SECONDS = 900
"""How long a second writer of the same month waits for the first, here and in Postgres."""


@contextmanager
def atomic_paths(
    *targets: Path, choose: Callable[[], Sequence[Path]] | None = None
) -> Iterator[tuple[Path, ...]]:
    """Yields a temporary path for each target; renames all to their targets if the block succeeds.

    All files are flushed before any is renamed. If one does not fit on the disk, none is renamed.

    Args:
        targets: the final paths.
        choose: is called after the block; returns other targets on the same disk.

    Raises:
        TransientStoreError: another process has been writing one for ``WRITER_WAIT_SECONDS``.
    """
    with contextlib.ExitStack() as stack:
        partials = [
            stack.enter_context(locked(target.with_name(f".{target.name}{PARTIAL}")))
            for target in targets
        ]
        try:
            yield tuple(partial.path for partial in partials)
            for partial in partials:
                _flush(partial.path)
            for partial, target in zip(partials, choose() if choose else targets, strict=True):
                _rename(partial.path, target)
        except BaseException:
            for partial in partials:
                partial.discard()
            raise


class LockedFile:
    """An unfinished file that only this process may write.

    The lock is on the file, not on its name. Once the file is renamed, its name is free for the
    next writer, and may be the name of another file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def is_there(self) -> bool:
        """Whether the path is still this file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def discard(self) -> None:
        """Removes the file, unless it has been renamed or removed already."""
        if self.is_there():
            self.path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[LockedFile]:
    """Locks an unfinished file, which an earlier attempt may have left behind.

    The kernel releases the lock when the process ends or is killed.

    Raises:
        TransientStoreError: another process has locked it for ``WRITER_WAIT_SECONDS``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + WRITER_WAIT_SECONDS
    while (file := _try_to_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TransientStoreError(
                f"another run has been writing {path} for {WRITER_WAIT_SECONDS} s; try again "
                "when it has ended"
            )
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311
    _locked_here().add(path)
    try:
        yield LockedFile(path, file.fileno())
    finally:
        _locked_here().discard(path)
        file.close()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Keeps other writers of a file away, also within a block of ``atomic_paths`` for it.

    Raises:
        TransientStoreError: another process has been writing it for ``WRITER_WAIT_SECONDS``.
    """
    partial = target.with_name(f".{target.name}{PARTIAL}")
    if partial in _locked_here():
        yield
        return
    with locked(partial) as lock:
        try:
            yield
        finally:
            lock.discard()


_of_thread = threading.local()


def _locked_here() -> set[Path]:
    """The unfinished files that this thread has locked."""
    paths: set[Path] = _of_thread.__dict__.setdefault("paths", set())
    return paths


def _try_to_lock(path: Path) -> IO[bytes] | None:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if LockedFile(path, file.fileno()).is_there():
            return file
    except BlockingIOError:
        pass
    except BaseException:
        file.close()
        raise
    # Another process has locked it, or renamed it after it was opened here.
    file.close()
    return None


def unlocked(partials: Iterable[Path]) -> Iterator[Path]:
    """Those of some unfinished files that no process has locked."""
    for path in partials:
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield path


def publish(partial: Path, target: Path) -> None:
    """Flushes a finished file to disk and renames it: readers see the old file or the new one."""
    _flush(partial)
    _rename(partial, target)


def _flush(partial: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())


def _rename(partial: Path, target: Path) -> None:
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
    """Maps errors of the file system to the two kinds of store error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise PermanentStoreError(
                f"{month}: the disk of {error.filename or 'the landing zone'} is full: free some "
                "space or set TAXI_DATA_DIR to another disk; the earlier files are unchanged"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermanentStoreError(
                f"{month}: cannot write to {error.filename}: {error.strerror}; give this user "
                "the right or set TAXI_DATA_DIR to another folder"
            ) from error
        if error.errno is None:
            raise
        raise TransientStoreError(f"{month}: {error.filename}: {error.strerror}") from error
