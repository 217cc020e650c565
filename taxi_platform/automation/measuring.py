"""Values that cost something to find out: found by one thread at a time, and kept for a while."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from taxi_platform.safe_texts import safe_line

T = TypeVar("T")

MOST_REASONS = 5
"""How many reasons are said of one failure: a message may contain what changes every time."""


class Complaint:
    """Why something cannot be measured. Each reason is said once, until it can be measured.

    Two reasons may alternate for hours: a server that hangs gives no answer in time, and a moment
    later the connection is given up.
    """

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        """Has nothing to say yet.

        Args:
            name: what it is about.
            report: is called with each reason.
        """
        self._name, self._report = name, report
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def say(self, reason: str | Exception) -> None:
        """Says a reason, unless it was said already."""
        if isinstance(reason, Exception):
            reason = safe_line(reason) or type(reason).__name__
        with self._lock:
            if reason in self._said or len(self._said) >= MOST_REASONS:
                return
            self._said.add(reason)
        self._report(f"{self._name}: {reason}")

    def end(self) -> None:
        """It can be measured: what fails from now on is said again."""
        with self._lock:
            self._said.clear()


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What there is to show of a value.

    Attributes:
        value: None if there is none.
        is_current: whether it is there, and was not kept longer than it should be.
    """

    value: T | None
    is_current: bool


class Measuring(Generic[T]):
    """Measures a value when it is asked for, unless it was measured a moment ago.

    Whoever asks waits as long as he likes; the measurement goes on without him, and no second one
    is begun beside it. A server that says nothing therefore costs one thread, however often
    somebody asks.
    """

    def __init__(
        self,
        name: str,
        measure: Callable[[], T],
        report: Callable[[str], None],
        kept_seconds: float,
        *,
        stale_seconds: float = 0.0,
        again_seconds: float | None = None,
    ) -> None:
        """Measures nothing yet.

        Args:
            name: of the value, for messages.
            measure: finds it; its errors are reported, and there is no value then.
            report: is called with why it cannot be measured, once with each reason.
            kept_seconds: for how long a value is not measured again.
            stale_seconds: how old the last value may be that is shown while the next is not there.
            again_seconds: when it is measured again if it could not be.
        """
        self._name, self._measure = name, measure
        self._complaint = Complaint(name, report)
        self._kept, self._stale = kept_seconds, stale_seconds
        self._again = kept_seconds if again_seconds is None else again_seconds
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_running = False
        self._next = self._measured = float("-inf")
        self._value: T | None = None

    def begin(self) -> None:
        """Has it measured, if that is due and nobody does it yet."""
        with self._lock:
            if self._is_running or time.monotonic() < self._next:
                return
            self._is_running = True
            self._ended.clear()
        # A daemon: a server that says nothing must not keep the process from ending.
        threading.Thread(target=self._run, name=f"measuring {self._name}", daemon=True).start()

    def outdate(self, after_seconds: float) -> None:
        """Lets a value be measured again when it is so old, if that is earlier."""
        with self._lock:
            self._next = min(self._next, self._measured + after_seconds)

    def value(self, until: float) -> Reading[T]:
        """The value; none if there is none in time, or if it cannot be measured.

        Args:
            until: how long to wait for it, by ``time.monotonic``.
        """
        self.begin()
        self._ended.wait(max(until - time.monotonic(), 0.0))
        with self._lock:
            if not self._is_running:
                return Reading(self._value, self._value is not None)
            if self._value is not None and time.monotonic() - self._measured < self._stale:
                return Reading(self._value, is_current=False)
        self._complaint.say("no answer in time")
        return Reading(None, is_current=False)

    def _run(self) -> None:
        value: T | None = None
        kept = self._kept
        try:
            value = self._measure()
            self._complaint.end()
        except Exception as error:  # noqa: BLE001 (whatever it is, a later scrape tries again)
            kept = self._again
            self._complaint.say(error)
        with self._lock:
            self._value, self._measured = value, time.monotonic()
            self._next = self._measured + kept
            self._is_running = False
            self._ended.set()
