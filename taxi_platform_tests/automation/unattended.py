"""A platform that runs by itself: Dagster's processes on the embedded stack, with their own places.

Each has a database of Dagster's, a bucket, a dataset, a schema and folders to itself, so that tests
of it do not meet, and all its processes are stopped by their ids.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._grpc.client import DagsterGrpcClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from psycopg import sql

from taxi_platform.local.dagster_home import make_dagster_tables, prepare_dagster_home
from taxi_platform.local.postgres_server import ADMIN, ROLE
from taxi_platform.local.state import StateFile
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, free_port, stop_process

BIN = Path(sys.executable).parent

START_SECONDS = 180
"""How long a process may take to start on a busy machine."""


def wait_until(true: Callable[[], Any], seconds: float = 120, every: float = 0.25) -> Any:
    """Waits for a condition and returns what made it true."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)
    return value


@dataclass
class UnattendedPlatform:
    """The processes, what they are told, and what comes of it."""

    stack: EmbeddedStack
    folder: Path
    environment: dict[str, str]
    instance: DagsterInstance
    code_port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Starts a process of Dagster's, which logs into the folder."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_code_server(self) -> None:
        port = str(self.code_port)
        module = ("-m", "taxi_platform.definitions")
        self.start("code", "dagster", "api", "grpc", *module, "-h", "127.0.0.1", "-p", port)
        client = DagsterGrpcClient(port=self.code_port, host="127.0.0.1")
        wait_until(lambda: self._alive("code") and _answers(client), START_SECONDS)

    def start_daemon(self) -> None:
        self.start("daemon", "dagster-daemon", "run", "-w", "workspace.yaml")

    def kill(self, name: str) -> None:
        """Ends a process as a machine that loses its power does."""
        process = self.processes.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def _alive(self, name: str) -> bool:
        code = self.processes[name].poll()
        assert code is None, (self.folder / f"{name}.log").read_text()[-3000:]
        return True

    def stop(self) -> None:
        for name in list(self.processes):
            stop_process(self.processes.pop(name))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `taxi-platform` in the folder."""
        return subprocess.run(
            [BIN / "taxi-platform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def runs(self, **tags: str) -> list[DagsterRun]:
        """All runs with these tags, the latest first."""
        named = {name.replace("__", "/"): value for name, value in tags.items()}
        return list(self.instance.get_runs(RunsFilter(tags=named)))

    def runs_of(self, month: TripMonth) -> list[DagsterRun]:
        return self.runs(dagster__partition=month.key)

    def rows(self, month: TripMonth) -> tuple[int, int]:
        """Rows of a month in Postgres and in BigQuery."""
        return self._rows_in_postgres(month), self._rows_in_bigquery(month)

    def _rows_in_postgres(self, month: TripMonth) -> int:
        table = sql.Identifier(self.environment["TAXI_POSTGRES_SCHEMA"], f"{month.color}_trips")
        query = sql.SQL("SELECT count(*) FROM {} WHERE data_file_month = %s").format(table)
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            try:
                row = connection.execute(query, [month.month]).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
        return int(row[0]) if row else 0

    def _rows_in_bigquery(self, month: TripMonth) -> int:
        dataset = self.environment["TAXI_BIGQUERY_DATASET"]
        with bigquery.Client(
            project=self.environment["TAXI_GCP_PROJECT"],
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.environment["BIGQUERY_EMULATOR_HOST"]},
        ) as client:
            names = [t.table_id for t in client.list_tables(dataset)]
            if f"{month.color}_trips" not in names:
                return 0
            query = (
                f"SELECT COUNT(*) FROM {dataset}.{month.color}_trips "
                f"WHERE data_file_month = DATE '{month.month}'"
            )
            return int(next(iter(client.query_and_wait(query)))[0])

    def bucket(self) -> storage.Bucket:
        client = storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.environment["STORAGE_EMULATOR_HOST"]},
        )
        return client.bucket(self.environment["TAXI_GCS_BUCKET"])

    def kept_rows(self, month: TripMonth) -> int:
        """Rows that the cleaning kept, as its file says."""
        from taxi_platform.stores.files import LandingZone

        return LandingZone(Path(self.environment["TAXI_DATA_DIR"])).find_cleaned(month).rows

    def is_loaded_whole(self, month: TripMonth) -> bool:
        """Whether both tables hold exactly what the cleaning kept."""
        return self.rows(month) == (self.kept_rows(month),) * 2


def _answers(client: DagsterGrpcClient) -> bool:
    try:
        return bool(client.ping("are you there?"))
    except Exception:
        return False


@contextmanager
def unattended_platform(
    stack: EmbeddedStack, name: str, **settings: str
) -> Iterator[UnattendedPlatform]:
    """A platform with places of its own; its code server runs, its daemon is for tests to start.

    Args:
        stack: the servers that it uses.
        name: of its places; letters.
        settings: more environment variables.
    """
    folder = stack.folder / name
    home = folder / "home"
    home.mkdir(parents=True)
    code_port = free_port()
    (folder / "dagster.yaml").write_bytes((PROJECT / "dagster.yaml").read_bytes())
    (folder / "workspace.yaml").write_text(
        "load_from:\n  - grpc_server:\n"
        f"      host: 127.0.0.1\n      port: {code_port}\n      location_name: taxi_platform\n"
    )
    environment = stack.environ(
        **{
            "DAGSTER_HOME": str(home),
            "TAXI_DAGSTER_POSTGRES_DATABASE": f"dagster_{name}",
            "TAXI_DATA_DIR": str(folder / "data"),
            "TAXI_GCS_BUCKET": f"{name}-lake",
            "TAXI_BIGQUERY_DATASET": name,
            "TAXI_POSTGRES_SCHEMA": name,
            "TAXI_RETRY_SECONDS": "0.05",
            "PYTHONWARNINGS": "ignore",
        }
        | settings
    )
    _make_database(stack, f"dagster_{name}")
    prepare_dagster_home(home, folder)
    make_dagster_tables(environment, folder)
    with _environment(environment):
        instance = DagsterInstance.from_config(str(home))
    with instance:
        platform = UnattendedPlatform(stack, folder, environment, instance, code_port)
        platform.bucket().client.create_bucket(f"{name}-lake")
        try:
            platform.start_code_server()
            yield platform
        finally:
            platform.stop()


def _make_database(stack: EmbeddedStack, name: str) -> None:
    passwords = StateFile((stack.folder / ".taxi").resolve()).load().passwords
    server = stack.postgres()
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=ADMIN,
        password=passwords[ADMIN],
        dbname="postgres",
        autocommit=True,
    ) as connection:
        statement = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(ROLE)))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables while an instance is made, which reads its configuration's from them."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class WebServer:
    """Dagster's web server, asked in GraphQL."""

    def __init__(self, platform: UnattendedPlatform) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        where = ("-h", "127.0.0.1", "-p", port, "-w", "workspace.yaml")
        platform.start("web", "dagster-webserver", *where)
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        wait_until(self._answers, START_SECONDS)

    def _answers(self) -> bool:
        try:
            return self.client.get("/server_info").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


