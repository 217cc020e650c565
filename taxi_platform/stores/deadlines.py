"""A total deadline for uploads. A client's timeout applies to each of its requests only."""

import time
from dataclasses import dataclass, field
from typing import IO

from taxi_platform.errors import TransientStoreError

TOTAL_SECONDS = 1800.0
"""How long an upload, or the wait for a load job, may take."""


@dataclass
class StreamWithDeadline:
    """A file that a client reads piece by piece, and that cannot be read after a while.

    Attributes:
        file: what is read.
        what: the subject and the destination, for the message.
        seconds: how long it can be read, from now on.
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
        if time.monotonic() - self._started > self.seconds:
            raise TransientStoreError(
                f"{self.what}: the upload has not ended for {self.seconds:.0f} s: is the network "
                "too slow? Nothing was replaced; try again"
            )
        return self.file.read(size)

    def tell(self) -> int:
        """The position of the next byte."""
        return self.file.tell()

    def seek(self, position: int, whence: int = 0) -> int:
        """Moves to another position."""
        return self.file.seek(position, whence)
