"""Runs on workers of two hosts: each with a folder of its own, sharing a bucket and a broker."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus

from taxi_platform.dagster_internals import make_new_run_id
from taxi_platform.workers.launcher import worker_launcher
from taxi_platform.workers.transport import EXECUTE
from taxi_platform_tests.automation.unattended import wait_until
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.month_runs import Contents, publish, tables_in
from taxi_platform_tests.hosts.platform import Hosts, running_hosts

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.daemon,
    pytest.mark.integration,
    pytest.mark.timeout(600),
]

QUEUED, STARTING = DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING
STARTED = DagsterRunStatus.STARTED
SUCCESS, CANCELED = DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED

LONG = 400_000
"""Rows of a month whose run takes some seconds."""

DONE_SECONDS = 240
"""In which a month that was lost is loaded on a busy machine; a quiet one takes less than 90. If
nobody noticed the loss, it would take an hour."""


@pytest.fixture(scope="module")
def hosts(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Hosts without workers yet; `two` is behind cables."""
    with running_hosts(stack, "hosts", tmp_path_factory.mktemp("hosts")) as running:
        yield running


@pytest.fixture
def workers(hosts: Hosts) -> None:
    """A worker on each of two hosts, whatever the test before did to it."""
    for name in ("one", "two"):
        if name not in hosts.platform.processes:
            hosts.start(name)


def long_month(hosts: Hosts, partition: str, rows: int = LONG) -> tuple[Contents, DagsterRun]:
    """Publishes and requests a month, and waits until its run has begun."""
    contents = publish(hosts.published, partition, rows)
    hosts.request(partition)
    return contents, hosts.wait_for_run(partition, STARTED)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stops a process while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def require_loaded_once(hosts: Hosts, partition: str, contents: Contents) -> None:
    """The stores have the month, whole and once, and nothing was left behind."""
    assert hosts.holdings(partition) == (contents, contents)
    schema = hosts.platform.environment["TAXI_POSTGRES_SCHEMA"]
    tables = tables_in(hosts.platform.stack.postgres().conninfo, schema)
    color, _, month = partition.partition("|")
    child = f"{color}_trips_{month.replace('-', '_')}"
    assert [name for name in tables if name.startswith(child)] == [child]


def test_without_workers_runs_wait_in_the_queue(hosts: Hosts) -> None:
    partition = "yellow|2020-03"
    contents = publish(hosts.published, partition, 500)
    hosts.request(partition)
    run = hosts.wait_for_run(partition, QUEUED)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        assert hosts.runs(partition)[0].status is QUEUED
        time.sleep(0.5)
    hosts.start("two")
    assert hosts.wait_for_run(partition, SUCCESS).run_id == run.run_id
    require_loaded_once(hosts, partition, contents)


def test_many_months_are_loaded_by_both_hosts_each_once_whatever_dies(
    hosts: Hosts, workers: None
) -> None:
    keys = [f"yellow|2019-{n:02}" for n in range(1, 11)]
    expected = {key: publish(hosts.published, key, 500 + n) for n, key in enumerate(keys)}
    hosts.request(*expected)
    died = hosts.wait_for_run(keys[3], STARTED)
    os.kill(hosts.child(died), signal.SIGKILL)
    for partition, contents in expected.items():
        hosts.wait_for_run(partition, SUCCESS)
        require_loaded_once(hosts, partition, contents)
        assert len(hosts.runs(partition, SUCCESS)) == 1
        assert len(hosts.runs(partition)) == (2 if partition == keys[3] else 1)
    landed = [{path.name for path in hosts.published_on(name)} for name in ("one", "two")]
    assert all(landed)


def test_a_worker_finishes_its_run_and_a_store_is_loaded_by_another_host(
    hosts: Hosts, workers: None
) -> None:
    partition = "yellow|2021-07"
    contents, run = long_month(hosts, partition)
    host = hosts.host_of(run)
    assert hosts.drain(host) == 0
    assert hosts.runs(partition)[0].status is SUCCESS
    require_loaded_once(hosts, partition, contents)

    # The other host has no file of this month.
    hosts.request(partition, assets=["postgres_trips"])
    wait_until(lambda: len(hosts.runs(partition, SUCCESS)) == 2, 60)
    require_loaded_once(hosts, partition, contents)


def test_a_run_does_not_wait_behind_another_one_while_a_worker_is_idle(
    hosts: Hosts, workers: None
) -> None:
    keys = ["yellow|2021-05", "yellow|2021-06"]
    long_month(hosts, "yellow|2021-04", 500)  # Now there is a table.
    hosts.wait_for_run("yellow|2021-04", SUCCESS)
    more = publish(hosts.published, keys[1], 500)
    with hosts.locked("yellow_trips"):  # so that the first run does not end
        contents, run = long_month(hosts, keys[0], 500)
        (idle,) = {"one", "two"} - {hosts.host_of(run)}
        with stopped(hosts.process(idle).pid):
            time.sleep(2)  # Its last request to the broker has ended.
            hosts.request(keys[1])
            # Not for longer: soon the idle worker would be taken for dead, and the run would wait.
            deadline = time.monotonic() + 12
            while not hosts.runs(keys[1], STARTING) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(2)
        other = hosts.wait_for_run(keys[1], STARTED, seconds=60)
        assert hosts.host_of(other) == idle
    for key in keys:
        hosts.wait_for_run(key, SUCCESS)
    require_loaded_once(hosts, keys[0], contents)
    require_loaded_once(hosts, keys[1], more)


def test_months_whose_process_or_host_is_lost_are_loaded_soon(hosts: Hosts, workers: None) -> None:
    """A process is killed, a host is cut off for a while, and another one dies."""
    hosts.start("three")
    keys = ["yellow|2021-08", "yellow|2021-09", "yellow|2021-10"]
    # None may end before the last has begun.
    contents = {key: publish(hosts.published, key, 2 * LONG) for key in keys}
    hosts.request(*keys)
    runs = {key: hosts.wait_for_run(key, STARTED) for key in keys}
    on = {hosts.host_of(run): run for run in runs.values()}
    hosts.cut_off("two")
    hosts.kill_worker("three")
    os.kill(hosts.child(on["one"]), signal.SIGKILL)
    for key, run in runs.items():
        again = hosts.wait_for_run(key, SUCCESS, seconds=DONE_SECONDS)
        assert again.parent_run_id == run.run_id
        require_loaded_once(hosts, key, contents[key])

    # What the host that was cut off has still to say changes nothing, and it takes runs again.
    hosts.reconnect("two")
    hosts.drain("one")
    following = "yellow|2021-11"
    more = publish(hosts.published, following, 500)
    hosts.request(following)
    hosts.wait_for_run(following, SUCCESS)
    for key in keys:
        require_loaded_once(hosts, key, contents[key])
        assert len(hosts.runs(key)) == 2
    require_loaded_once(hosts, following, more)


def test_terminate_ends_a_run_at_once_with_the_month_as_it_was(hosts: Hosts, workers: None) -> None:
    partition = "yellow|2020-06"
    before, first = long_month(hosts, partition)
    hosts.wait_for_run(partition, SUCCESS)
    after, run = long_month(hosts, partition, LONG + 100)
    assert run.run_id != first.run_id
    process = psutil.Process(hosts.child(run))
    assert hosts.platform.instance.run_coordinator.cancel_run(run.run_id)
    hosts.wait_for_run(partition, CANCELED)
    require_loaded_once(hosts, partition, before)

    hosts.request(partition)
    wait_until(lambda: len(hosts.runs(partition, SUCCESS)) == 2, 60)
    require_loaded_once(hosts, partition, after)
    assert process.is_running(), "the next run needs no new process"


def test_a_broker_that_lost_everything_harms_no_run(hosts: Hosts, workers: None) -> None:
    partition, other = "yellow|2020-07", "yellow|2020-08"
    contents, run = long_month(hosts, partition)
    hosts.redis.empty()
    more = publish(hosts.published, other, 500)
    hosts.request(other)
    hosts.wait_for_run(other, SUCCESS, seconds=60)
    hosts.wait_for_run(partition, SUCCESS, seconds=60)
    assert [r.run_id for r in hosts.runs(partition)] == [run.run_id]
    require_loaded_once(hosts, partition, contents)
    require_loaded_once(hosts, other, more)


def test_a_message_that_comes_late_executes_nothing(hosts: Hosts, workers: None) -> None:
    partition = "yellow|2020-09"
    contents = publish(hosts.published, partition, 500)
    hosts.request(partition)
    run = hosts.wait_for_run(partition, SUCCESS)
    launcher = worker_launcher(hosts.platform.instance)
    assert launcher
    for run_id in (run.run_id, make_new_run_id()):
        launcher.celery.send_task(EXECUTE, args=[run_id], queue=launcher.default_queue)
    following = "yellow|2020-10"
    publish(hosts.published, following, 500)
    hosts.request(following)
    hosts.wait_for_run(following, SUCCESS)
    # Not the events: a process says that it ended after its run has succeeded.
    assert len(hosts.executions(run.run_id)) == 1
    require_loaded_once(hosts, partition, contents)
