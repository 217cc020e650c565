"""A worker: executes runs in processes that have imported everything already."""

import importlib
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from celery import signals
from celery.worker import state as celery_state
from dagster import DagsterInstance, DagsterRunStatus
from dagster._cli.api import _execute_run_command_body

from taxi_platform.workers.launcher import WorkerRunLauncher
from taxi_platform.workers.mark import Mark
from taxi_platform.workers.presence import BEAT_SECONDS, WorkerState, report
from taxi_platform.workers.transport import EXECUTE
from taxi_platform.workers.watch import watched

RUNS_PER_PROCESS = 200
"""Then a process is replaced, in case that a library keeps memory."""

IMPORTED = (
    *("taxi_platform.definitions", "pyarrow.parquet", "psycopg", "pgpq", "isal.igzip", "httpx"),
    *("google.cloud.storage", "google.cloud.bigquery", "taxi_platform.stores.google_errors"),
)
"""What runs import; processes are forked from one that has it."""


def work(instance: DagsterInstance, launcher: WorkerRunLauncher, places: int, queue: str) -> int:
    """Executes runs until the process is told to end; then finishes those that it has begun.

    Args:
        instance: whose runs; reached from processes that are forked.
        launcher: which sends the runs.
        places: how many runs at once.
        queue: from which runs are taken.

    Returns:
        The exit code.
    """
    for module in IMPORTED:
        importlib.import_module(module)
    app = launcher.celery
    app.task(name=EXECUTE)(execute_run)
    heart = _Heart(instance, places, queue, launcher.mark)
    signals.worker_ready.connect(heart.start, weak=False)
    signals.worker_shutting_down.connect(heart.drain, weak=False)
    worker = app.Worker(
        hostname=heart.name,
        pool="prefork",
        concurrency=places,
        queues=[queue],
        max_tasks_per_child=RUNS_PER_PROCESS,
        optimization="fair",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    try:
        worker.start()
    finally:
        heart.stop()
    return int(worker.exitcode or 0)


def execute_run(run_id: str) -> None:
    """Executes a run that waits for it; others have ended, or were begun by another worker."""
    instance = _instance()
    run = instance.get_run_by_id(run_id)
    if run is None:
        sys.stderr.write(
            f"run {run_id} is not in Dagster's storage: does another installation use this broker "
            "and queue?\n"
        )
        return
    if run.status is not DagsterRunStatus.STARTING:
        return
    with watched(instance, run_id):
        _execute_run_command_body(run_id, instance, lambda _event: None, False)


@cache
def _instance() -> DagsterInstance:
    """The instance of this process, which is kept for its next run."""
    return DagsterInstance.get()


def executed_runs() -> Iterator[str]:
    """The ids of the runs that the worker's processes execute now."""
    for request in tuple(celery_state.active_requests):
        yield str(request.args[0])


class _Heart:
    """Reports what the worker does, from a thread."""

    def __init__(self, instance: DagsterInstance, places: int, queue: str, mark: Mark) -> None:
        self._instance = instance
        self._mark = mark
        self._places = places
        self._queue = queue
        self.name = f"{queue}-{os.getpid()}@{socket.gethostname()}"
        self._ends = threading.Event()
        self._drains = False
        # Also unlike that of a worker of this name that ran before.
        self._beat = random.randrange(1 << 30)  # noqa: S311
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, **_: Any) -> None:
        self._thread.start()
        sys.stdout.write(f"{self.name}: {self._places} runs at a time\n")
        sys.stdout.flush()

    def drain(self, **_: Any) -> None:
        self._drains = True

    def stop(self) -> None:
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS * 2)

    def _run(self) -> None:
        while True:
            ends = self._ends.wait(BEAT_SECONDS)
            try:
                report(self._instance, self._state(ends))
            except Exception as error:  # noqa: BLE001 (the storage may come back)
                sys.stderr.write(f"{self.name}: no heartbeat: {type(error).__name__}\n")
            if ends:
                return

    def _state(self, ends: bool) -> WorkerState:
        self._beat += 1
        return WorkerState(
            name=self.name,
            queue=self._queue,
            places=self._places,
            runs=[] if ends else sorted(executed_runs()),
            is_draining=self._drains or ends,
            beat=self._beat,
            at=time.time(),
            broker=self._mark.seen(),
        )
