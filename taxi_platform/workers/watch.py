"""Ends a run from within its process, if it was canceled or given up, or nobody can be reached.

The main thread executes the run, and may be busy in a library. These threads look after it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import DagsterInstance, DagsterRunStatus

LOOK_SECONDS = 1.0

PATIENCE_SECONDS = 3.0
"""A run that was canceled, or given up, and does not end within this time is killed."""

ALONE_SECONDS = 15.0
"""A process that has not reached Dagster's storage for so long is killed. Less than
``presence.DEAD_SECONDS``, after which another worker executes the run."""


@contextmanager
def watched(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Watches a run while the block executes it."""
    watch = _Watch(instance, run_id)
    for target in (watch.look_after_run, watch.look_after_connection):
        threading.Thread(target=target, daemon=True).start()
    try:
        yield
    finally:
        watch.over.set()


class _Watch:
    def __init__(self, instance: DagsterInstance, run_id: str) -> None:
        self.over = threading.Event()
        self._instance = instance
        self._run_id = run_id
        self._reached = time.monotonic()

    def look_after_run(self) -> None:
        """Interrupts a run that is to be canceled, and kills what does not end."""
        since: float | None = None
        while not self.over.wait(LOOK_SECONDS):
            try:
                run = self._instance.get_run_by_id(self._run_id)
            except Exception as error:  # noqa: BLE001 (the other thread decides)
                _say(f"run {self._run_id}: {type(error).__name__} of Dagster's storage")
                continue
            self._reached = time.monotonic()
            if run is not None and run.status in (
                DagsterRunStatus.STARTING,
                DagsterRunStatus.STARTED,
            ):
                continue
            since = since or self._reached
            waited = self._reached - since
            if run is not None and run.status is DagsterRunStatus.SUCCESS:
                continue  # It is about to end.
            if waited > PATIENCE_SECONDS:
                if run is not None and run.status is DagsterRunStatus.CANCELING:
                    self._instance.report_run_canceled(run, "Killed: it did not react.")
                self._kill("it was canceled or given up, and did not end")
            os.kill(os.getpid(), signal.SIGINT)

    def look_after_connection(self) -> None:
        """Kills the process if its storage cannot be reached; a request may hang for minutes."""
        while not self.over.wait(LOOK_SECONDS):
            if time.monotonic() - self._reached > ALONE_SECONDS:
                self._kill("Dagster's storage cannot be reached")

    def _kill(self, why: str) -> None:
        if not self.over.is_set():
            _say(f"run {self._run_id} is killed: {why}")
            os.kill(os.getpid(), signal.SIGKILL)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
