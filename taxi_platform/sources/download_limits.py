"""How long a download may take, how slow it may be, and how large a file."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from taxi_platform.deadlines import Deadline

DOWNLOAD_SECONDS = 1500.0
DOWNLOAD_BYTES = 16 << 30


@dataclass(frozen=True)
class DownloadLimits:
    """The limits of a download.

    Attributes:
        seconds: for an attempt.
        size: of the file, in bytes.
        least_bytes: how many bytes must arrive in ``least_seconds``; 1 KiB/s over a minute.
        least_seconds: see ``least_bytes``.
    """

    seconds: float = DOWNLOAD_SECONDS
    size: int = DOWNLOAD_BYTES
    least_bytes: int = 60 << 10
    least_seconds: float = 60.0

    def pace(self, deadline: Deadline) -> Callable[[int], None]:
        """Starts the clock, and keeps a deadline at what the limits allow.

        Returns:
            A function to call with the size of each part that has arrived.
        """
        end = time.monotonic() + self.seconds
        counted = 0

        def renew() -> None:
            left = end - time.monotonic()
            if left < self.least_seconds:
                deadline.renew(
                    left,
                    f"the download took longer than {self.seconds:g} s (TAXI_DOWNLOAD_SECONDS)",
                )
            else:
                deadline.renew(
                    self.least_seconds,
                    f"fewer than {self.least_bytes:,} bytes arrived in {self.least_seconds:g} s",
                )

        def arrived(size: int) -> None:
            nonlocal counted
            counted += size
            if counted >= self.least_bytes:
                counted = 0
                renew()

        renew()
        return arrived
