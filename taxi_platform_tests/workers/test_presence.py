"""Who is alive, by a clock that the test turns."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from dagster import DagsterInstance

from taxi_platform.workers.liveness import is_alive
from taxi_platform.workers.presence import (
    DEAD_SECONDS,
    LOST_SECONDS,
    Observer,
    WorkerState,
    report,
    workers,
)
from taxi_platform.workers.watch import ALONE_SECONDS, LOOK_SECONDS

ONE = WorkerState("one", "dagster", places=2, beat=7)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_takes_runs_once_it_was_seen_to_beat_and_until_it_drains(
    instance: DagsterInstance,
) -> None:
    clock = Clock()
    observer = Observer(clock)
    report(instance, ONE)
    # Whether it lives, or died last week, cannot be told from one look.
    assert [sighting.takes_runs for sighting in observer.look(instance)] == [False]
    report(instance, replace(ONE, beat=8))
    assert [sighting.takes_runs for sighting in observer.look(instance)] == [True]
    clock.now += DEAD_SECONDS + 1
    assert [sighting.is_dead for sighting in observer.look(instance)] == [True]
    report(instance, replace(ONE, beat=9, is_draining=True))
    (sighting,) = observer.look(instance)
    assert (sighting.is_dead, sighting.takes_runs) == (False, False)


def test_a_run_is_dead_if_its_worker_is_and_if_no_worker_has_it(instance: DagsterInstance) -> None:
    clock = Clock()
    observer = Observer(clock)
    report(instance, replace(ONE, runs=["r"]))
    assert observer.why_dead(instance, "r") is None
    clock.now += DEAD_SECONDS + 1
    assert "the worker one has not been heard of for 21 s" in str(observer.why_dead(instance, "r"))
    report(instance, replace(ONE, beat=8, runs=["r"]))
    assert observer.why_dead(instance, "r") is None, "it was cut off, and came back in time"

    report(instance, replace(ONE, beat=9))
    assert observer.why_dead(instance, "r") is None, "it may have begun just now"
    clock.now += LOST_SECONDS + 1
    assert "its process died" in str(observer.why_dead(instance, "r"))


def test_a_process_that_is_cut_off_ends_before_its_run_counts_as_dead() -> None:
    assert ALONE_SECONDS + 2 * LOOK_SECONDS < DEAD_SECONDS


def test_workers_that_are_gone_are_forgotten(instance: DagsterInstance) -> None:
    now = time.time()
    report(instance, replace(ONE, name="old", at=now - 100_000))
    report(instance, replace(ONE, at=now))
    report(instance, replace(ONE, name="two", at=now))
    assert [state.name for state in workers(instance)] == ["one", "two"]


def test_a_worker_is_healthy_if_one_of_this_host_reported_a_moment_ago(
    instance: DagsterInstance,
) -> None:
    now = time.time()
    report(instance, replace(ONE, name="dagster-7@there", at=now))
    report(instance, replace(ONE, name="dagster-7@here", at=now - 60))
    assert not is_alive(instance, "here")
    report(instance, replace(ONE, name="dagster-8@here", at=now))
    assert is_alive(instance, "here")
    assert not is_alive(instance, "ere")


def test_a_worker_listens_to_its_own_broker_and_to_any_that_is_not_known(
    instance: DagsterInstance,
) -> None:
    for said, asked, listens in (
        ("a", "a", True),
        ("a", "b", False),
        ("a", None, True),
        (None, "a", True),  # of a version that does not say
    ):
        report(instance, replace(ONE, broker=said))
        (sighting,) = Observer().look(instance)
        assert sighting.listens_to(asked) is listens, (said, asked)


def test_what_a_later_version_says_besides_is_left_out(instance: DagsterInstance) -> None:
    report(instance, ONE)
    storage = instance.daemon_cursor_storage
    storage.set_cursor_values(
        {"taxi_platform/worker/one": json.dumps(asdict(ONE) | {"moon": "full"})}
    )
    assert [state.name for state in workers(instance)] == ["one"]
