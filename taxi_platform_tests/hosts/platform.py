"""A platform whose runs are executed by workers: hosts with a folder each, as processes."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster_graphql.cli import execute_query
from psycopg import sql

from taxi_platform.workers.launcher import worker_launcher
from taxi_platform.workers.presence import WorkerState, workers
from taxi_platform_tests.automation.unattended import (
    START_SECONDS,
    UnattendedPlatform,
    unattended_platform,
    wait_until,
    with_environment,
)
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.month_runs import Contents, Holdings, in_postgres, template
from taxi_platform_tests.hosts.cable import Cable
from taxi_platform_tests.hosts.redis_server import Redis, running_redis

TRIPS = ("raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips")

_LAUNCH = """
mutation Launch($given: ExecutionParams!) {
  launchRun(executionParams: $given) { __typename ... on PythonError { message } }
}
"""

_ADDRESSES = (
    *("TAXI_POSTGRES_PORT", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"),
    "TAXI_CELERY_BROKER",
)


@dataclass
class Hosts:
    """Dagster's processes, a broker, and workers on hosts by name."""

    platform: UnattendedPlatform
    redis: Redis
    published: Path
    workspace: WorkspaceProcessContext
    cables: dict[str, list[Cable]] = field(default_factory=dict)
    changed: dict[str, dict[str, str]] = field(default_factory=dict)

    def start(self, host: str, places: int = 1) -> None:
        """Starts a worker on a host, and waits until it takes runs."""
        common = self.platform.environment
        own = {"TAXI_DATA_DIR": str(self.platform.folder / host)} | self.changed.get(host, {})
        before = {state.name for state in self.states()}
        self.platform.environment = common | own
        try:
            self.platform.start(host, "taxi-platform", "worker", "--concurrency", str(places))
        finally:
            self.platform.environment = common
        wait_until(lambda: {s.name for s in self.states()} - before, START_SECONDS)

    def published_on(self, host: str) -> list[Path]:
        """The published files that a host has."""
        return list((self.platform.folder / host / "raw").rglob("*.csv.gz"))

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Lets runs wait for a table; a stopped process might keep Dagster's own locked."""
        schema = self.platform.environment["TAXI_POSTGRES_SCHEMA"]
        statement = sql.SQL("LOCK TABLE {}").format(sql.Identifier(schema, table))
        with psycopg.connect(self.platform.stack.postgres().conninfo) as connection:
            connection.execute(statement)
            yield

    def cut_off(self, host: str) -> None:
        """Cuts the cables of a host: nothing passes, and nobody is told."""
        for cable in self.cables[host]:
            cable.cut()

    def reconnect(self, host: str) -> None:
        """What was sent meanwhile arrives."""
        for cable in self.cables[host]:
            cable.mend()

    @property
    def hosts(self) -> list[str]:
        """The hosts that have a worker now."""
        return [name for name in ("one", "two", "three") if name in self.platform.processes]

    def states(self) -> list[WorkerState]:
        return workers(self.platform.instance)

    def process(self, host: str) -> subprocess.Popen[bytes]:
        return self.platform.processes[host]

    def executions(self, run_id: str) -> list[int]:
        """The processes that have begun to execute a run, on whichever host."""
        begun = "Started process for run (pid: "
        said = [event.message for event in self.platform.instance.all_logs(run_id)]
        return [int(m.removeprefix(begun).partition(")")[0]) for m in said if m.startswith(begun)]

    def child(self, run: DagsterRun) -> int:
        """The process that executes a run."""
        return self.executions(run.run_id)[-1]

    def host_of(self, run: DagsterRun) -> str:
        """The host whose worker executes a run."""
        pid = self.child(run)
        for name in self.hosts:
            worker = psutil.Process(self.process(name).pid)
            if pid in {child.pid for child in worker.children(recursive=True)}:
                return name
        raise AssertionError(f"process {pid} of {run.run_id} is not a worker's")

    def drain(self, host: str) -> int:
        """Tells a worker to end, and returns its exit code once it has."""
        process = self.platform.processes.pop(host)
        process.terminate()
        return process.wait(120)

    def kill_worker(self, host: str) -> None:
        """Kills a worker with all its processes, as a host that loses its power does."""
        process = self.platform.processes.pop(host)
        family = [*psutil.Process(process.pid).children(recursive=True)]
        os.kill(process.pid, signal.SIGSTOP)
        for child in family:
            child.kill()
        process.kill()
        process.wait()

    def request(self, *partitions: str, assets: Sequence[str] = TRIPS) -> None:
        """Requests a run of each month, as *Materialize* in the UI does."""
        selector = {
            "repositoryLocationName": "taxi_platform",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [name]} for name in assets],
        }
        for partition in partitions:
            color, _, month = partition.partition("|")
            tags = {"": partition, "/color": color, "/month": month}
            metadata = {
                "tags": [{"key": f"dagster/partition{k}", "value": v} for k, v in tags.items()]
            }
            answer = execute_query(
                self.workspace,
                _LAUNCH,
                {"given": {"selector": selector, "executionMetadata": metadata}},
            )
            assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", answer

    def runs(self, partition: str, *statuses: DagsterRunStatus) -> list[DagsterRun]:
        """The runs of a month, the latest first."""
        tags = {"dagster/partition": partition}
        chosen = RunsFilter(tags=tags, statuses=list(statuses) or None)
        return list(self.platform.instance.get_runs(chosen))

    def wait_for_run(
        self, partition: str, *statuses: DagsterRunStatus, seconds: float = 240
    ) -> DagsterRun:
        """Waits until a month has a run in one of these states."""
        found = wait_until(lambda: self.runs(partition, *statuses), seconds, 0.1)
        run: DagsterRun = found[0]
        return run

    def holdings(self, partition: str) -> tuple[Contents, Contents]:
        """Rows and cents of a month in Postgres and in BigQuery."""
        environment = self.platform.environment
        stores = Holdings(
            environment["STORAGE_EMULATOR_HOST"],
            environment["TAXI_GCS_BUCKET"],
            environment["BIGQUERY_EMULATOR_HOST"],
            environment["TAXI_BIGQUERY_DATASET"],
            environment["TAXI_GCP_PROJECT"],
        )
        conninfo = self.platform.stack.postgres().conninfo
        schema = environment["TAXI_POSTGRES_SCHEMA"]
        return in_postgres(conninfo, schema, partition), stores.in_bigquery(partition)


@contextmanager
def running_hosts(
    stack: EmbeddedStack, name: str, folder: Path, **settings: str
) -> Iterator[Hosts]:
    """The platform without workers; its daemon runs."""
    published = folder / "published"
    published.mkdir()
    with (
        running_redis(folder) as redis,
        unattended_platform(
            stack,
            name,
            TAXI_SOURCE_URL=template(published),
            TAXI_CELERY_BROKER=redis.url,
            TAXI_LANDING="bucket",
            **settings,
        ) as platform,
    ):
        platform.start_daemon()
        with with_environment(platform.environment):
            assert worker_launcher(platform.instance), "it is made when it is first asked for"
        target = GrpcServerTarget(
            host="127.0.0.1", port=platform.code_port, socket=None, location_name="taxi_platform"
        )
        with (
            WorkspaceProcessContext(platform.instance, target) as workspace,
            ExitStack() as cables,
        ):
            hosts = Hosts(platform, redis, published, workspace)
            _connect_by_cables(hosts, "two", cables)
            for pool in ("source", "bigquery", "postgres"):
                platform.instance.event_log_storage.set_concurrency_slots(pool, 3)
            yield hosts
            for name in hosts.hosts:
                hosts.kill_worker(name)


def _connect_by_cables(hosts: Hosts, host: str, stack: ExitStack) -> None:
    """Lets a host reach all servers through cables."""
    hosts.cables[host], hosts.changed[host] = [], {}
    for variable in _ADDRESSES:
        address = hosts.platform.environment[variable]
        port = address if address.isdigit() else str(urlsplit(address).port)
        cable = stack.enter_context(Cable(int(port)))
        hosts.cables[host].append(cable)
        hosts.changed[host][variable] = address.replace(port, str(cable.port))
