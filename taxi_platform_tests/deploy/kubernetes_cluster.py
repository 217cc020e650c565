"""A cluster of one node: the Kubernetes API that a run launcher needs, and Jobs as processes.

A Job's container is a process with the Job's command and environment, and folders of its own for
what a pod keeps in volumes. There is no image, no scheduler and no other controller.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from taxi_platform_tests.conftest import inherited_environment, stop_process

BIN = Path(sys.executable).parent

LATE = 'sleep "$0" && exec "$@"'

_JOBS = re.compile(r"/apis/batch/v1/namespaces/([\w-]+)/jobs(?:/([\w-]+?))?(/status)?(?:\?.*)?")
_PODS = re.compile(r"/api/v1/namespaces/([\w-]+)/pods(?:/([\w-]+))?(?:\?labelSelector=(.*))?")

Objects = Mapping[str, Mapping[str, str]]


@dataclass
class Job:
    """A Job, and the process that is its only pod."""

    posted: dict[str, Any]
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    is_deleted: bool = False

    @property
    def name(self) -> str:
        return str(self.posted["metadata"]["name"])

    def as_read(self) -> dict[str, Any]:
        """The Job, with the status that its controller would write."""
        code = self.process.poll()
        state = "active" if code is None else "failed" if code else "succeeded"
        return {**self.posted, "status": {state: 1}}

    def pod(self) -> dict[str, Any]:
        metadata = {"name": self.name, "labels": {"job-name": self.name}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


@dataclass
class Cluster:
    """What is in the namespace, and how the test interferes."""

    folder: Path
    namespace: str
    config_maps: dict[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: dict[str, Mapping[str, str]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    answers: bool = True
    """Whether the API does; otherwise connections are closed."""
    loses_an_answer: bool = False
    """Whether the next Job is made, slowly, and nobody is told so."""

    def job_of(self, run_id: str) -> Job:
        return self.jobs[f"dagster-run-{run_id}"]

    def start(self, posted: dict[str, Any], after_seconds: int = 0) -> None:
        """Starts the process of a Job, as its node would, which may have to fetch the image."""
        name = posted["metadata"]["name"]
        folder = self.folder / name
        (container,) = posted["spec"]["template"]["spec"]["containers"]
        environment = self._environment(container, folder)
        command: list[str] = [*container.get("command", ()), *container["args"]]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", LATE, str(after_seconds), BIN / command[0], *command[1:]],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.jobs[name] = Job(posted, folder, environment, process)

    def _environment(self, container: dict[str, Any], folder: Path) -> dict[str, str]:
        """As the kubelet composes it: later sources win, and single variables over all."""
        found: dict[str, str] = {}
        for source in container["envFrom"]:
            for kind, objects in (("configMapRef", self.config_maps), ("secretRef", self.secrets)):
                if kind in source:
                    found |= objects[source[kind]["name"]]
        found |= {variable["name"]: variable["value"] for variable in container["env"]}
        own = {"TAXI_DATA_DIR": folder / "data", "TMPDIR": folder / "tmp"}
        for path in own.values():
            path.mkdir(parents=True)
        return inherited_environment() | found | {k: str(path) for k, path in own.items()}

    def delete(self, job: Job) -> None:
        """Deletes a Job's pod: its process is told to end."""
        if job.process.poll() is None:
            job.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        for job in self.jobs.values():
            if job.process.poll() is None:
                stop_process(job.process)
            shutil.rmtree(job.folder, ignore_errors=True)


class _Api(BaseHTTPRequestHandler):
    cluster: Cluster

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is read by people."""

    def _answer(self, found: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer({"kind": "Status", "status": "Failure", "code": status, "reason": ""}, status)

    def _job(self, pattern: re.Pattern[str]) -> Job | None:
        """The Job of this namespace that the path names, itself or through its pod."""
        found = pattern.fullmatch(self.path)
        if found is None or found[1] != self.cluster.namespace:
            return None
        job = self.cluster.jobs.get(found[2] or (found[3] or "").removeprefix("job-name%3D"))
        return None if job is None or job.is_deleted else job

    def handle_one_request(self) -> None:
        if self.cluster.answers:
            super().handle_one_request()
        self.close_connection = not self.cluster.answers or self.close_connection

    def do_GET(self) -> None:
        if job := self._job(_JOBS):
            self._answer(job.as_read())
        elif (pods := _PODS.fullmatch(self.path)) and pods[3]:
            job = self._job(_PODS)
            self._answer(
                {"apiVersion": "v1", "kind": "PodList", "items": [job.pod()] if job else []}
            )
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = _JOBS.fullmatch(self.path)
        if found is None or found[1] != self.cluster.namespace:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if posted["metadata"]["name"] in self.cluster.jobs:
            self._refuse(HTTPStatus.CONFLICT)
            return
        lost, self.cluster.loses_an_answer = self.cluster.loses_an_answer, False
        self.cluster.start(posted, after_seconds=20 if lost else 0)
        if lost:
            self.close_connection = True
        else:
            self._answer(posted, HTTPStatus.CREATED)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if job := self._job(_JOBS):
            # Not the pod: through the API, and unlike with kubectl, that is not deleted with it.
            self._answer({"kind": "Status", "status": "Success"})
        elif job := self._job(_PODS):
            self.cluster.delete(job)
            self._answer(job.pod())
        else:
            self._refuse(HTTPStatus.NOT_FOUND)


@contextmanager
def running_cluster(folder: Path, namespace: str) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and the kubeconfig that leads to it."""
    folder.mkdir()
    cluster = Cluster(folder, namespace)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (_Api,), {"cluster": cluster}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kubeconfig = folder / "kubeconfig"
    address = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "one", "user": "test"}}],
        "current-context": "test",
    }
    kubeconfig.write_text(yaml.safe_dump(config))
    try:
        yield cluster, kubeconfig
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        cluster.stop()
