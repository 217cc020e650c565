"""Total deadlines of exchanges with servers.

The timeout of a socket starts anew with each byte, so a server that sends one now and then is
waited for without end. Here a thread watches the clock, and closes the connection.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

AGAIN_SECONDS = 0.2
"""How soon a connection is closed again: another may have been opened in its place."""

LONGEST_NAP = 1.0
"""A deadline that is brought forward is noticed after so many seconds."""


class DeadlineError(TimeoutError):
    """An exchange took longer than its deadline; says which."""


class Deadline:
    """A time by which an exchange must have ended; it can be moved while the exchange goes on."""

    def __init__(self, seconds: float, said: str) -> None:
        self._ended = threading.Event()
        self._passed: str | None = None
        self.renew(seconds, said)

    def renew(self, seconds: float, said: str) -> None:
        """Moves the deadline to so many seconds from now.

        Args:
            seconds: from now.
            said: what to say if it passes.
        """
        self._current = (time.monotonic() + seconds, said)

    @property
    def passed(self) -> str | None:
        """What the passed deadline says; None if it has not passed."""
        return self._passed

    def watch(self, close: Callable[[], None]) -> None:
        """Waits for the end of the exchange, and ends it when the deadline has passed."""
        while not self._ended.is_set():
            at, said = self._current
            left = at - time.monotonic()
            if left > 0:
                self._ended.wait(min(left, LONGEST_NAP))
                continue
            self._passed = said
            with suppress(OSError):
                close()
            self._ended.wait(AGAIN_SECONDS)

    def end(self) -> None:
        """Tells the watching thread that the exchange has ended."""
        self._ended.set()


@contextmanager
def deadline(seconds: float, said: str, close: Callable[[], None]) -> Iterator[Deadline]:
    """Ends what happens within the block when the deadline has passed.

    Args:
        seconds: from now.
        said: what to say if it passes.
        close: closes the connection; is called from another thread, more than once.

    Raises:
        DeadlineError: it passed. Also if the block ended well: an answer whose end is the end of
            the connection would be cut off.
    """
    watched = Deadline(seconds, said)
    thread = threading.Thread(target=watched.watch, args=(close,), daemon=True, name="deadline")
    thread.start()
    try:
        yield watched
    except Exception as error:
        if watched.passed is None:
            raise
        raise DeadlineError(watched.passed) from error
    finally:
        watched.end()
        thread.join()
    if watched.passed is not None:
        raise DeadlineError(watched.passed)
