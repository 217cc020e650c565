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
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient
from google.api_core.exceptions import NotFound
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


def wait_until(true: Callable[[], Any], seconds: float = 120, every: float = 0.5) -> Any:
    """Waits for a condition and returns what made it true."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)
    return value


@dataclass
class UnattendedPlatform:
    """The processes, their input, and its results."""

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

    def ended(self, **tags: str) -> int:
        """How many runs with these tags have ended."""
        return sum(run.is_finished for run in self.runs(**tags))

    def wait_for_ends(self, count: int, **tags: str) -> None:
        """Waits until so many runs with these tags have ended."""
        wait_until(lambda: self.ended(**tags) >= count, 240)

    def runs_of(self, month: TripMonth) -> list[DagsterRun]:
        return self.runs(dagster__partition=month.key)

    def rows(self, color: str = "green") -> dict[date, tuple[int, int]]:
        """Rows in Postgres and in BigQuery, by month of the file."""
        postgres, bigquery_rows = self._rows_in_postgres(color), self._rows_in_bigquery(color)
        months = postgres.keys() | bigquery_rows.keys()
        return {m: (postgres.get(m, 0), bigquery_rows.get(m, 0)) for m in sorted(months)}

    def _rows_in_postgres(self, color: str) -> dict[date, int]:
        table = sql.Identifier(self.environment["TAXI_POSTGRES_SCHEMA"], f"{color}_trips")
        query = sql.SQL("SELECT data_file_month, count(*) FROM {} GROUP BY 1").format(table)
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            try:
                return dict(connection.execute(query).fetchall())
            except psycopg.errors.UndefinedTable:
                return {}

    def _rows_in_bigquery(self, color: str) -> dict[date, int]:
        dataset = self.environment["TAXI_BIGQUERY_DATASET"]
        query = f"SELECT data_file_month, COUNT(*) FROM {dataset}.{color}_trips GROUP BY 1"
        with self._bigquery() as client:
            try:
                return {row[0]: row[1] for row in client.query_and_wait(query)}
            except NotFound:
                return {}

    def trips_in_mart(self, mart: str, month: TripMonth) -> int:
        """The trips that a mart in BigQuery counts of a month."""
        table = f"{self.environment['TAXI_BIGQUERY_DATASET']}.{month.color}_{mart}"
        query = f"SELECT SUM(trips) FROM {table} WHERE data_file_month = '{month.month}'"
        with self._bigquery() as client:
            try:
                return next(iter(client.query_and_wait(query)))[0] or 0
            except NotFound:
                return 0

    def make_bucket(self) -> None:
        with self._storage() as client:
            client.create_bucket(self.environment["TAXI_GCS_BUCKET"])

    def put_into_gcs(self, month: TripMonth, file: Path) -> None:
        """Puts a file into GCS without the platform, as anybody might."""
        with self._storage() as client:
            bucket = client.bucket(self.environment["TAXI_GCS_BUCKET"])
            blob = bucket.blob(f"data/{month.color}/{month.stem}.parquet")
            blob.upload_from_filename(str(file))

    def _bigquery(self) -> bigquery.Client:
        return bigquery.Client(
            project=self.environment["TAXI_GCP_PROJECT"],
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.environment["BIGQUERY_EMULATOR_HOST"]},
        )

    def _storage(self) -> storage.Client:
        return storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.environment["STORAGE_EMULATOR_HOST"]},
        )

    def kept_rows(self, month: TripMonth) -> int:
        """Rows that the cleaning kept, as its file says."""
        from taxi_platform.landing.zone import LandingZone

        return LandingZone(Path(self.environment["TAXI_DATA_DIR"])).find_cleaned(month).rows

    def is_loaded_whole(self, month: TripMonth) -> bool:
        """Whether both tables hold exactly what the cleaning kept."""
        return self.rows(month.color).get(month.month) == (self.kept_rows(month),) * 2


def _answers(client: DagsterGrpcClient) -> bool:
    try:
        return bool(client.ping("are you there?"))
    except DagsterUserCodeUnreachableError:
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
            "TAXI_GCS_BUCKET": f"{name}-trips",
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
    with with_environment(environment):
        instance = DagsterInstance.from_config(str(home))
    with instance:
        platform = UnattendedPlatform(stack, folder, environment, instance, code_port)
        platform.make_bucket()
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
def with_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables while an instance is made, which reads its configuration's from them."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class WebServer:
    """Dagster's web server, used through GraphQL."""

    def __init__(self, platform: UnattendedPlatform, url: str) -> None:
        port = url.rpartition(":")[2]
        where = ("-h", "127.0.0.1", "-p", port, "-w", "workspace.yaml")
        platform.start("web", "dagster-webserver", *where)
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        wait_until(self._answers, START_SECONDS)

    def close(self) -> None:
        self.client.close()

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

    def start_schedule(self, name: str) -> None:
        self._mutate("startSchedule(scheduleSelector: $selector) { __typename }", name, "schedule")

    def stop_schedule(self, name: str) -> None:
        state = self._state(name, "schedule")
        self.ask(f'mutation {{ stopRunningSchedule(id: "{state["id"]}") {{ __typename }} }}')

    def start_sensor(self, name: str) -> None:
        self._mutate("startSensor(sensorSelector: $selector) { __typename }", name, "sensor")

    def wait_for_ticks(self, sensor: str, count: int) -> list[dict[str, Any]]:
        """Waits until so many ticks of a sensor have begun and ended from now on; gives them."""
        now = time.time()

        def ended() -> list[dict[str, Any]]:
            ticks: list[dict[str, Any]] = self._state(sensor, "sensor")["ticks"]
            return [t for t in ticks if t["timestamp"] > now and t["status"] != "STARTED"]

        return wait_until(lambda: found if len(found := ended()) >= count else None, 240)

    def _mutate(self, mutation: str, name: str, kind: str) -> None:
        answer = self.ask(
            f"mutation Change($selector: {kind.capitalize()}Selector!) {{ {mutation} }}",
            selector=_selector(name, kind),
        )
        (result,) = answer.values()
        assert result["__typename"] in ("Sensor", "ScheduleStateResult"), result

    def _state(self, name: str, kind: str) -> dict[str, Any]:
        state = "id ticks(limit: 50) { timestamp status skipReason }"
        answer = self.ask(
            f"query State($selector: {kind.capitalize()}Selector!) {{ "
            f"{kind}OrError({kind}Selector: $selector) {{ "
            f"... on {kind.capitalize()} {{ {kind}State {{ {state} }} }} }} }}",
            selector=_selector(name, kind),
        )
        found: dict[str, Any] = answer[f"{kind}OrError"][f"{kind}State"]
        return found


def _selector(name: str, kind: str) -> dict[str, str]:
    return {
        "repositoryLocationName": "taxi_platform",
        "repositoryName": "__repository__",
        f"{kind}Name": name,
    }
