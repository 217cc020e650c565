"""A process that materializes months on request, one request per line, with imports done once.

A line in is a JSON object: ``partition``, ``assets``, ``environment``, and ``file_bytes`` if no
file that is written may become larger. A line out is a JSON object: ``success``, ``failures`` by
step, ``retried`` steps.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psutil
from dagster import DagsterInstance

from taxi_platform_tests.faults.month_runs import failures, materialize_month, retried


def work(instance: DagsterInstance, request: Mapping[str, Any]) -> dict[str, Any]:
    """Materializes the requested month."""
    os.environ.update(request["environment"])
    with _files_of_at_most(request.get("file_bytes")):
        result = materialize_month(instance, request["partition"], request["assets"])
    return {
        "success": result.success,
        "failures": failures(result),
        "retried": retried(result),
    }


@contextmanager
def _files_of_at_most(most: int | None) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Worker:
    """A running worker, which another process sends requests to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def send(
        self,
        partition: str,
        assets: tuple[str, ...],
        environment: Mapping[str, str],
        file_bytes: int | None = None,
    ) -> None:
        """Starts a run, and does not wait for it."""
        assert self._process.stdin is not None
        request = {
            "partition": partition,
            "assets": assets,
            "environment": dict(environment),
            "file_bytes": file_bytes,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What came of the run, when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in family:
            child.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@contextmanager
def workers(number: int) -> Iterator[list[Worker]]:
    """So many workers, for as long as the block lasts."""
    started = [Worker() for _ in range(number)]
    try:
        yield started
    finally:
        for worker in started:
            worker.stop()


def main() -> None:
    """Handles requests until its input ends."""
    # What Dagster says of a run on standard output is nobody's answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with DagsterInstance.ephemeral() as instance:
        for line in sys.stdin:
            print(json.dumps(work(instance, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
