"""Counts the duplicate rows of a file in bounded memory.

The TLC's months have no duplicate rows. If a file was joined to itself, or contains a download
twice, every row is duplicated. Rows are compared by their hashes. The hashes are written to an
unnamed temporary file, at 8 bytes per row, and compared at the end of the file.
"""

import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from taxi_platform.trips.ordered_map import map_in_order
from taxi_platform.trips.row_hashes import Hashes

_PARTS = 256
_PART_SHIFT = np.uint64(56)

HASHES_AT_A_TIME = 1 << 15
"""Number of hashes compared at a time, so that the tables fit into the CPU cache."""


@dataclass(frozen=True)
class PartedHashes:
    """The hashes of a block, ordered by part: by their first byte.

    Attributes:
        hashes: the hashes.
        cuts: where each part begins, and the end: int64, one more than there are parts.
    """

    hashes: Hashes
    cuts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, hashes: Hashes) -> "PartedHashes":
        """Orders the hashes of a block."""
        part = (hashes >> _PART_SHIFT).astype(np.uint8)
        cuts = np.zeros(_PARTS + 1, dtype=np.int64)
        np.cumsum(np.bincount(part, minlength=_PARTS), out=cuts[1:])
        return cls(hashes[np.argsort(part, kind="stable")], cuts)


class DuplicateCounter:
    """Counts the rows that duplicate an earlier row."""

    def __init__(self) -> None:
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._full = False
        except OSError:
            self._file, self._full = io.BytesIO(), True
        self._size = 0
        self._cuts: list[npt.NDArray[np.int64]] = []
        """For each block, how many hashes precede each part in the file, and the block's end."""

    def close(self) -> None:
        """Closes the temporary file."""
        self._file.close()

    def add(self, block: PartedHashes) -> None:
        """Adds the hashes of a block. If the disk is full, counting stops."""
        if not len(block.hashes) or self._full:
            return
        try:
            written = self._file.write(block.hashes.data)
        except OSError:
            written = 0
        if written < block.hashes.nbytes:  # the disk is full
            self._full = True
            return
        self._cuts.append(self._size + block.cuts)
        self._size += len(block.hashes)

    def count(self, pool: ThreadPoolExecutor) -> int | None:
        """The number of rows that duplicate an earlier row; None if the disk was full."""
        return None if self._full else sum(map_in_order(pool, _repeated, self._groups()))

    def _groups(self) -> Iterator[Hashes]:
        """Yields all hashes in groups of about ``HASHES_AT_A_TIME``. Equal hashes share a group."""
        if not self._cuts:
            return
        cuts = np.array(self._cuts)
        sizes = (cuts[:, 1:] - cuts[:, :-1]).sum(axis=0)
        # Mapped: to read each part of each block would be a system call for a few hashes.
        hashes = np.asarray(np.memmap(self._file, dtype=np.uint64, mode="r", shape=(self._size,)))
        first = 0
        for last in range(1, _PARTS + 1):
            if last == _PARTS or sizes[first : last + 1].sum() > HASHES_AT_A_TIME:
                pairs = zip(cuts[:, first].tolist(), cuts[:, last].tolist(), strict=True)
                yield np.concatenate([hashes[start:end] for start, end in pairs])
                first = last


def _repeated(hashes: Hashes) -> int:
    """Counts repeated hashes. Only hashes that share a slot with another one are sorted."""
    size = 1 << (4 * len(hashes)).bit_length()
    slots = (hashes & np.uint64(size - 1)).astype(np.int64)
    places = np.arange(len(hashes), dtype=np.int32)
    last_in_slot = np.empty(size, dtype=np.int32)
    last_in_slot[slots] = places
    shared = np.zeros(size, dtype=np.bool_)
    shared[slots[last_in_slot[slots] != places]] = True
    candidates = np.sort(hashes[shared[slots]])
    return int(np.count_nonzero(candidates[1:] == candidates[:-1]))
