"""How many rows of a file are there before, value for value, counted in bounded memory.

The TLC's months have no two rows alike; a file that was joined to itself, or downloaded twice into
one, has every row twice. Rows are compared by their hashes, which are laid aside until the file has
been read: in memory as long as they are few, then in a nameless file.
"""

import tempfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from taxi_platform.trips.row_hashes import Hashes

IN_MEMORY_BYTES = 1 << 23
"""A million rows' hashes; more of them are laid aside on disk, 8 bytes a row."""

_PARTS = 256
_PART_SHIFT = np.uint64(56)

AT_ONCE = 1 << 15
"""Hashes that are compared at once: what belongs to them fits into a processor's cache."""


class DuplicateCounter:
    """Counts the rows that are equal to an earlier one."""

    def __init__(self) -> None:
        self._laid_aside = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
        self._cuts: list[npt.NDArray[np.int64]] = []
        """Of each block, where in the file each part of it begins, and where it ends."""
        self._full = False

    def close(self) -> None:
        """Lets go of the temporary file."""
        self._laid_aside.close()

    def add(self, hashes: Hashes) -> None:
        """Takes in the rows of a block; where there is no room for them, counting is given up."""
        if not len(hashes) or self._full:
            return
        try:
            self._add(hashes)
        except OSError:
            self._full = True

    def _add(self, hashes: Hashes) -> None:
        part = (hashes >> _PART_SHIFT).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        start = self._laid_aside.tell()
        self._laid_aside.write(hashes[order].data)
        cuts = np.zeros(_PARTS + 1, dtype=np.int64)
        np.cumsum(np.bincount(part, minlength=_PARTS), out=cuts[1:])
        self._cuts.append(start + 8 * cuts)

    def count(self) -> int | None:
        """Rows that are equal to one before them; None if there was no room for counting."""
        return None if self._full else sum(map(_repeated, self._groups()))

    def _groups(self) -> Iterator[Hashes]:
        """All hashes, in groups of some ``AT_ONCE`` of which no two have a hash in common."""
        if not self._cuts:
            return
        cuts = np.array(self._cuts)
        sizes = (cuts[:, 1:] - cuts[:, :-1]).sum(axis=0) // 8
        first = 0
        for last in range(1, _PARTS + 1):
            if last == _PARTS or sizes[first : last + 1].sum() > AT_ONCE:
                yield self._read(cuts[:, first], cuts[:, last])
                first = last

    def _read(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Hashes:
        pieces = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if end > start:
                self._laid_aside.seek(start)
                pieces.append(self._laid_aside.read(end - start))
        return np.frombuffer(b"".join(pieces), dtype=np.uint64)


def _repeated(hashes: Hashes) -> int:
    """How many hashes are there before, found by sorting the few that share a slot with another."""
    size = 1 << (4 * len(hashes)).bit_length()
    slots = (hashes & np.uint64(size - 1)).astype(np.int64)
    places = np.arange(len(hashes), dtype=np.int32)
    last_in_slot = np.empty(size, dtype=np.int32)
    last_in_slot[slots] = places
    shared = np.zeros(size, dtype=np.bool_)
    shared[slots[last_in_slot[slots] != places]] = True
    candidates = np.sort(hashes[shared[slots]])
    return int(np.count_nonzero(candidates[1:] == candidates[:-1]))
