"""A total deadline for uploads and downloads. A client's timeout applies to one request only."""

import time
from dataclasses import dataclass, field
from typing import IO

from taxi_platform.errors import TransientStoreError

TOTAL_SECONDS = 1800.0
"""How long an upload, or the wait for a load job, may take."""


@dataclass
class StreamWithDeadline:
    """A file that a client reads or writes piece by piece, and cannot after a while.

    Attributes:
        file: the file.
        what: the subject and the other end, for the message.
        seconds: how long it can be read and written, from now on.
    """

    file: IO[bytes]
    what: str
    seconds: float = TOTAL_SECONDS
    _started: float = field(default_factory=time.monotonic)

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            TransientStoreError: the time is up.
        """
        self._require_time("upload")
        return self.file.read(size)

    def write(self, content: bytes) -> int:
        """Writes the next bytes.

        Raises:
            TransientStoreError: the time is up.
        """
        self._require_time("download")
        return self.file.write(content)

    def _require_time(self, what: str) -> None:
        if time.monotonic() - self._started > self.seconds:
            raise TransientStoreError(
                f"{self.what}: the {what} has not ended for {self.seconds:.0f} s: is the network "
                "too slow? Nothing was replaced; try again"
            )

    def tell(self) -> int:
        """The position of the next byte."""
        return self.file.tell()

    def seek(self, position: int, whence: int = 0) -> int:
        """Moves to another position."""
        return self.file.seek(position, whence)
