"""What a worker does with messages that are none of a run of its installation."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from dagster import DagsterInstance

from taxi_platform.broker import broker_at
from taxi_platform.dagster_internals import make_new_run_id
from taxi_platform.workers.launcher import WorkerRunLauncher
from taxi_platform.workers.presence import BEAT_SECONDS, workers
from taxi_platform.workers.transport import EXECUTE, run_message
from taxi_platform_tests.automation.unattended import START_SECONDS, wait_until
from taxi_platform_tests.conftest import PROJECT, inherited_environment
from taxi_platform_tests.hosts.redis_server import Redis, running_redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SECONDS = 30


@dataclass(frozen=True)
class Worker:
    """A worker of an installation without runs, and its broker."""

    home: Path
    redis: Redis
    process: subprocess.Popen[Any]
    log: Path

    def wait_for(self, text: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def send_unknown_run(self) -> str:
        """Sends a run of another installation."""
        run_id = make_new_run_id()
        launcher = WorkerRunLauncher(broker_at(self.redis.url))
        launcher.celery.send_task(EXECUTE, args=[run_id], queue="dagster")
        return run_id


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    config["storage"] = {"sqlite": {"base_dir": str(folder)}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    log = folder / "log"
    with running_redis(folder) as redis, log.open("w") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("taxi-platform"), "worker", "--concurrency", "1"],
            env=inherited_environment()
            | {"DAGSTER_HOME": str(folder), "TAXI_CELERY_BROKER": redis.url},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        running = Worker(folder, redis, process, log)
        try:
            running.wait_for("1 runs at a time", START_SECONDS)
            yield running
        finally:
            process.terminate()
            process.wait(60)


def sent(worker: Worker) -> dict[str, Any]:
    """A message of the launcher's own, as it is in the queue of nobody."""
    launcher = WorkerRunLauncher(broker_at(worker.redis.url))
    launcher.celery.send_task(EXECUTE, args=[make_new_run_id()], queue="nobody")
    taken: Any = worker.redis.client().rpop("nobody")
    message: dict[str, Any] = json.loads(taken)
    return message


def test_what_is_no_run_is_discarded_and_the_worker_goes_on(worker: Worker) -> None:
    """Each is followed by a run, which the worker takes, in its only place."""
    message = sent(worker)
    no_body = message | {"body": base64.b64encode(b"[[1]]").decode()}
    for garbage in (
        b"garbage",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1, 2]",
        b'{"__type__": "datetime", "__value__": 7}',
        b'{"headers": {}}',
        json.dumps(no_body).encode(),
        json.dumps(message | {"headers": ["task"]}).encode(),
        json.dumps(message | {"headers": {"task": "celery.backend_cleanup"}}).encode(),
    ):
        before = worker.log.read_text().count("discarded")
        worker.redis.client().lpush("dagster", garbage)
        run_id = worker.send_unknown_run()
        worker.wait_for(run_id)
        said = worker.log.read_text()
        assert said.count("discarded a message that is no") == before + 1, garbage
    assert "Traceback" not in worker.log.read_text()


def test_what_is_beside_a_runs_id_in_a_message_cannot_end_the_worker(worker: Worker) -> None:
    for name, value in (
        ("timelimit", ["a", "b"]),
        ("retries", "many"),
        ("eta", 7),
        ("expires", "never"),
        ("id", {"a": 1}),
    ):
        message, run_id = sent(worker), make_new_run_id()
        message["headers"][name] = value
        message["properties"]["priority"] = "high"
        message["properties"]["delivery_tag"] = [1]
        arguments = [[run_id], {}, {}]
        message["body"] = base64.b64encode(json.dumps(arguments).encode()).decode()
        worker.redis.client().lpush("dagster", json.dumps(message))
        worker.wait_for(f"run {run_id} is not in Dagster's storage", SECONDS)
    assert worker.process.poll() is None


def test_a_run_of_another_installation_is_named_in_the_log(worker: Worker) -> None:
    run_id = worker.send_unknown_run()
    worker.wait_for(
        f"run {run_id} is not in Dagster's storage: does another installation use this broker and "
        "queue?"
    )


def test_runs_are_sent_only_to_workers_that_hear_of_them(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that listens to another broker would leave them as starting, for minutes."""

    def places(database: int) -> int:
        with DagsterInstance.from_config(str(worker.home)) as instance:
            launcher = WorkerRunLauncher(broker_at(worker.redis.database(database)))
            launcher.register_instance(instance)
            launcher.places()
            time.sleep(2 * BEAT_SECONDS)
            return launcher.places()["dagster"]

    with DagsterInstance.from_config(str(worker.home)) as instance:
        (state,) = wait_until(lambda: workers(instance), SECONDS)
    assert places(0) == 1
    assert not caplog.records
    assert places(1) == 0
    (warned,) = caplog.messages
    assert f"the worker {state.name} listens to another broker than this process" in warned


def test_a_message_that_was_given_back_is_the_same_run() -> None:
    """A worker that ends gives back what it has reserved, in the form of this module."""
    run_id = make_new_run_id()
    body = base64.b64encode(json.dumps([[run_id], {}, {}]).encode()).decode()
    message = {"body": body, "headers": {"task": EXECUTE, "id": "of-a-task"}, "properties": {}}
    once = run_message(message, "heavy")
    assert once
    twice = run_message(once, "heavy")
    assert twice
    for found in (once, twice):
        assert json.loads(base64.b64decode(found["body"]))[0] == [run_id]
        assert found["headers"]["id"] == "of-a-task"
        assert found["properties"]["delivery_info"]["routing_key"] == "heavy"
