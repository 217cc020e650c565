"""Many small months: one after another in a warm process, and queued for Dagster's daemon.

The daemon makes a run of each month, as a backfill started in the UI does: in a process of its own,
or on a warm worker with one, two or four places.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Bench, Contender, Work, seconds_by_theirs
from benchmarks.inputs import WARM_UP, folder_of, published
from benchmarks.processes import ContestError, Facts
from benchmarks.runs import PLATFORM, publish_from, warm_worker
from benchmarks.servers import forget_months, running_stack
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    from dagster import DagsterInstance

MONTHS = int(os.environ.get("TAXI_BENCH_MONTHS", "24"))
PLACES = (1, 2, 4)
POOLS = ("source", "bigquery", "postgres")
DAEMONS = ("BACKFILL", "QUEUED_RUN_COORDINATOR")
START_SECONDS = 120
DONE_SECONDS = 800
BROKER = "TAXI_CELERY_BROKER"
POLL_SECONDS = 0.2


def months() -> list[TripMonth]:
    """The months, from 2019-01 on: all of a time when CSV was published."""
    return [
        TripMonth.from_key(f"yellow|{2019 + number // 12}-{number % 12 + 1:02}")
        for number in range(MONTHS)
    ]


def _inputs(rows: int) -> None:
    for month in (WARM_UP, *months()):
        published(month, rows)


def _before(rows: int) -> None:
    forget_months()
    publish_from(f"file://{folder_of(rows)}")


def _one_after_another(rows: int) -> Work:
    run = warm_worker(WARM_UP)

    def work() -> Facts:
        start = time.perf_counter()
        for month in months():
            run(month)
        return _facts(rows, time.perf_counter() - start)

    return work


def _queued(rows: int) -> Work:
    from dagster import DagsterInstance

    from taxi_platform.environment import accept_changes

    os.environ.pop(BROKER)
    accept_changes()  # or it would be taken back, and the daemon would wait for workers

    def work() -> Facts:
        with DagsterInstance.get() as instance, _daemon(instance):
            start = time.perf_counter()
            _backfill(instance)
            return _facts(rows, time.perf_counter() - start)

    return work


def _on_workers(places: int) -> Callable[[int], Work]:
    def prepare(rows: int) -> Work:
        from dagster import DagsterInstance

        def work() -> Facts:
            with (
                DagsterInstance.get() as instance,
                _daemon(instance),
                _worker(instance, places),
            ):
                for pool in POOLS:
                    instance.event_log_storage.set_concurrency_slots(pool, max(PLACES))
                start = time.perf_counter()
                _backfill(instance)
                return _facts(rows, time.perf_counter() - start)

        return work

    return prepare


def _facts(rows: int, seconds: float) -> Facts:
    return {
        "seconds": seconds,
        "rows": rows * MONTHS,
        "partitions": MONTHS,
        "partitions_per_minute": 60 * MONTHS / seconds,
    }


@contextmanager
def _daemon(instance: "DagsterInstance") -> Iterator[None]:
    """Dagster's daemon, from its first heartbeats on."""
    log = Path(instance.root_directory) / "bench-daemon.log"
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", PLATFORM]
    begin = time.time()
    with log.open("w") as out:
        daemon = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(lambda: _beats(instance, begin), START_SECONDS, f"the daemon did not start: {log}")
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


@contextmanager
def _worker(instance: "DagsterInstance", places: int) -> Iterator[None]:
    """A worker, from the moment on when the daemon knows it."""
    from taxi_platform.workers.presence import Observer

    log = Path(instance.root_directory) / "bench-worker.log"
    command = [str(Path(sys.executable).with_name("taxi-platform")), "worker"]
    with log.open("w") as out:
        worker = subprocess.Popen(
            [*command, "--concurrency", str(places)], stdout=out, stderr=subprocess.STDOUT
        )
    observer = Observer()
    try:
        _wait(
            lambda: any(sighting.takes_runs for sighting in observer.look(instance)),
            START_SECONDS,
            f"the worker did not start: {log}",
        )
        # The daemon looks at its own times.
        time.sleep(5)
        yield
    finally:
        worker.terminate()
        worker.wait(60)


def _beats(instance: "DagsterInstance", since: float) -> bool:
    beats = instance.get_daemon_heartbeats()
    return all(name in beats and beats[name].timestamp > since for name in DAEMONS)


def _backfill(instance: "DagsterInstance") -> None:
    from taxi_platform.assets.trips import trip_assets
    from taxi_platform.dagster_internals import request_backfill
    from taxi_platform.settings import load_settings

    assets = trip_assets(load_settings())
    keys = [month.key for month in months()]
    backfill_id = request_backfill(instance, assets, keys, tags={}, title="bench")
    _wait(lambda: _runs_done(instance, backfill_id), DONE_SECONDS, "the backfill stalled")


def _runs_done(instance: "DagsterInstance", backfill_id: str) -> bool:
    """Whether every month's run succeeded; the daemon itself checks only now and then."""
    from dagster import DagsterRunStatus, RunsFilter

    runs = instance.get_runs(RunsFilter(tags={"dagster/backfill": backfill_id}))
    failed = [run.run_id for run in runs if run.status == DagsterRunStatus.FAILURE]
    if failed:
        raise ContestError(f"runs of the backfill failed: {', '.join(failed)}")
    done = [run for run in runs if run.status == DagsterRunStatus.SUCCESS]
    return len(done) == MONTHS


def _wait(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise ContestError(otherwise)
        time.sleep(POLL_SECONDS)


BENCH = Bench(
    name="backfill",
    rows=10_000,
    contenders=(
        Contender("one_after_another", _one_after_another, before=_before),
        Contender("queued", _queued, before=_before),
        *(Contender(f"places_{n}", _on_workers(n), before=_before) for n in PLACES),
    ),
    compare=seconds_by_theirs(
        "one_after_another", "queued", *(f"places_{places}" for places in PLACES)
    ),
    inputs=_inputs,
    surroundings=lambda _rows: running_stack(workers=True),
)
