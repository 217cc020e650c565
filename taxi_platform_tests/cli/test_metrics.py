"""`taxi-platform metrics`: a scrape says what is loaded, what failed and what is away."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psycopg
import pytest
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunsFilter,
)
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.check import CheckError
from dagster_shared.error import SerializableErrorInfo
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool
from typer.testing import CliRunner

from taxi_platform.automation.metrics import (
    Keeping,
    PlatformCollector,
)
from taxi_platform.cli.backfill import open_instance
from taxi_platform.cli.main import app
from taxi_platform.cli.metrics_server import MOST_CONNECTIONS, REQUEST_SECONDS
from taxi_platform.local.postgres_server import ROLE
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform.workers.presence import WorkerState, report
from taxi_platform_tests.cli.loading import load_months
from taxi_platform_tests.cli.terminals import COMMAND
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, inherited_environment

PLACE = "metrics_test"
DATABASE = f"{PLACE}_dagster"

RECORDS_SECONDS = Keeping().records

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def loaded(
    stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """An installation on Postgres, with Dagster's records in a database of its own.

    Of green, 2024-01 and 2024-02 are loaded, 2024-03 failed, as it is not published.
    """
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    for key, rows in (("green|2024-01", 500), ("green|2024-02", 700)):
        month = TripMonth.from_key(key)
        write_synthetic_month(month, folder / f"{month.stem}.parquet", rows)
    environment = {
        **stack.environment,
        "DAGSTER_HOME": str(folder),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE_URL": f"file://{folder}/{{color}}_tripdata_{{month}}.parquet",
        "TAXI_FIRST_MONTH": "2024-01",
        "TAXI_STORES": "postgres",
        "TAXI_COLORS": "green",
        "TAXI_POSTGRES_SCHEMA": PLACE,
        "TAXI_DAGSTER_POSTGRES_DATABASE": DATABASE,
    }
    with stack.administrator() as connection:
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            load_months("green|2024-01", "green|2024-02", "green|2024-03")
            yield environment
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    with psycopg.connect(stack.postgres().conninfo) as connection:
        connection.execute(f"DROP SCHEMA {PLACE} CASCADE")


@dataclass(frozen=True)
class Served:
    """The command, while it runs."""

    process: subprocess.Popen[str]
    url: str

    def scrape(self) -> Samples:
        answer = httpx.get(self.url, timeout=30, trust_env=False).raise_for_status()
        return samples(answer.text)

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def samples(text: str) -> Samples:
    """What Prometheus reads in an answer; each series is in it once."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = (sample.name.removeprefix("taxi_platform_"), frozenset(sample.labels.items()))
            assert series not in found
            found[series] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def names(found: Samples) -> set[str]:
    return {name for name, _ in found}


@contextmanager
def serving(
    environment: Mapping[str, str], arguments: Sequence[str] = (), **changed: str
) -> Iterator[Served]:
    process = subprocess.Popen(
        [COMMAND, "metrics", "--port", "0", *arguments],
        env={**inherited_environment(), **environment, **changed},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "it does not say where it listens"
        yield Served(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(loaded: dict[str, str]) -> Iterator[Served]:
    with serving(loaded) as found:
        yield found


@pytest.mark.integration
def test_a_scrape_says_what_is_loaded(stack: EmbeddedStack, served: Served) -> None:
    found = served.scrape()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", served.url)
    assert value(found, "up", of="dagster") == 1
    assert value(found, "up", of="months") == 1
    assert value(found, "store_up", store="postgres") == 1
    assert value(found, "store_months", store="postgres", color="green") == 2
    with psycopg.connect(stack.postgres().conninfo) as connection:
        counted = connection.execute(f"SELECT count(*) FROM {PLACE}.green_trips").fetchone()
    (rows,) = counted or (0,)
    assert value(found, "rows", color="green", source="published") == rows > 1_000
    assert value(found, "rows", color="green", source="synthetic") == 0


@pytest.mark.integration
def test_the_months_are_those_of_the_status(loaded: dict[str, str], served: Served) -> None:
    found = served.scrape()
    run = CliRunner().invoke(app, ["status", "--json"], env=loaded)
    totals = json.loads(run.stdout)["totals"]
    months = {labels: number for (name, labels), number in found.items() if name == "months"}
    states = {dict(labels)["state"]: number for labels, number in months.items()}
    assert {state: number for state, number in states.items() if number} == totals
    assert states["loaded"] == 2
    assert states["failed"] == 1
    assert states["synthetic"] == 0
    assert states["overdue"] > 0


@pytest.mark.integration
def test_runs_are_counted_by_status(served: Served) -> None:
    found = served.scrape()
    assert value(found, "runs", status="success") == 2
    assert value(found, "runs", status="failure") == 1
    assert value(found, "runs", status="queued") == 0
    assert value(found, "run_queue_length") == 0
    assert value(found, "run_queue_oldest_seconds") == 0


@pytest.mark.integration
def test_a_run_that_waits_a_silent_daemon_and_red_ticks_are_seen(loaded: dict[str, str]) -> None:
    now = time.time()
    with DagsterInstance.get() as instance, serving(loaded) as served:
        before = served.scrape()
        assert value(before, "daemon_heartbeat_age_seconds", daemon="sensor") == float("inf")
        assert "tick_failed" not in names(before)
        run = enqueue(instance)
        instance.add_daemon_heartbeat(DaemonHeartbeat(now - 90, "SENSOR", "test", []))
        tick(instance, "published_months", now - 60, TickStatus.FAILURE, in_a_row=2)
        tick(instance, "gcs_objects_to_bigquery", now - 30, TickStatus.SKIPPED)
        # It is still on in a code location that has got another name since.
        tick(instance, "published_months", now - 9_000, TickStatus.SKIPPED, location="old")
        time.sleep(RECORDS_SECONDS)
        found = served.scrape()
        instance.delete_run(run.run_id)
        forget_ticks(instance)
    assert value(found, "run_queue_length") == value(found, "runs", status="queued") == 1
    assert RECORDS_SECONDS <= value(found, "run_queue_oldest_seconds") < 60
    assert 90 <= value(found, "daemon_heartbeat_age_seconds", daemon="sensor") < 150
    assert value(found, "tick_failed", automation="published_months") == 1
    assert value(found, "tick_failures", automation="published_months") == 2
    assert value(found, "tick_timestamp_seconds", automation="published_months") == now - 60
    assert value(found, "tick_failed", automation="gcs_objects_to_bigquery") == 0


def enqueue(instance: DagsterInstance) -> DagsterRun:
    origin = RemoteJobOrigin(origin_of("taxi_platform"), "waits")
    run = instance.add_run(DagsterRun(job_name="waits", remote_job_origin=origin))
    event = DagsterEvent(DagsterEventType.PIPELINE_ENQUEUED.value, job_name="waits")
    instance.report_dagster_event(event, run.run_id)
    return run


def origin_of(location: str) -> RemoteRepositoryOrigin:
    return RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")


def tick(
    instance: DagsterInstance,
    name: str,
    at: float,
    status: TickStatus,
    in_a_row: int = 0,
    location: str = "taxi_platform",
) -> None:
    """Turns a sensor on, and has it tick."""
    origin = RemoteInstigatorOrigin(origin_of(location), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    instance.add_instigator_state(state)
    data = TickData(
        instigator_origin_id=state.instigator_origin_id,
        instigator_name=name,
        instigator_type=InstigatorType.SENSOR,
        status=status,
        timestamp=at,
        error=SerializableErrorInfo("no answer", [], "E") if status is TickStatus.FAILURE else None,
        selector_id=state.selector_id,
        failure_count=in_a_row,
        consecutive_failure_count=in_a_row,
    )
    instance.create_tick(data)


def forget_ticks(instance: DagsterInstance) -> None:
    for state in instance.all_instigator_state():
        instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)


@dataclass
class Trips:
    """What goes to databases and back."""

    connections: int = 0
    statements: int = 0


@contextmanager
def counted() -> Iterator[Trips]:
    found = Trips()

    def connects(*_: object) -> None:
        found.connections += 1

    def asks(*_: object) -> None:
        found.statements += 1

    # A connection that is taken from its pool is asked whether it lives.
    listeners = [
        (Pool, "connect", connects),
        (Pool, "checkout", asks),
        (Engine, "before_cursor_execute", asks),
    ]
    for listener in listeners:
        event.listen(*listener)
    try:
        yield found
    finally:
        for listener in listeners:
            event.remove(*listener)


@pytest.mark.integration
@pytest.mark.usefixtures("loaded")
def test_many_scrapes_cost_what_one_costs() -> None:
    collector = PlatformCollector(load_settings(), open_instance, fail_with, Keeping(600, 600))
    with counted() as first:
        scraped(collector)
    with counted() as then:
        for _ in range(20):
            scraped(collector)
    assert first.statements > 0
    assert then == Trips()


@pytest.mark.integration
@pytest.mark.usefixtures("loaded")
def test_a_scrape_asks_by_the_connections_it_has_and_not_often() -> None:
    # At 40 ms for each, fifty of them take half of what a scrape has.
    with DagsterInstance.get() as instance:
        for name in ("published_months", "gcs_objects_to_bigquery", "alerts"):
            tick(instance, name, time.time(), TickStatus.SKIPPED)
        run = enqueue(instance)
    collector = PlatformCollector(load_settings(), open_instance, fail_with, Keeping(0, 600))
    assert value(scraped(collector), "up", of="dagster") == 1
    with counted() as trips:
        found = scraped(collector)
    assert value(found, "run_queue_length") == 1
    assert trips.connections == 0
    assert 0 < trips.statements <= 50
    with DagsterInstance.get() as instance:
        instance.delete_run(run.run_id)
        forget_ticks(instance)


def fail_with(message: str) -> None:
    pytest.fail(message)


@pytest.mark.integration
@pytest.mark.parametrize("away", ["refuses", "says nothing"])
def test_while_dagsters_database_is_away_a_scrape_is_quick_and_says_so(
    loaded: dict[str, str], away: str
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if away == "says nothing":  # it takes connections, and never answers
            silent.listen(50)
        port = str(silent.getsockname()[1])
        with serving(loaded, TAXI_POSTGRES_PORT=port) as served:
            for _ in range(3):
                # Or it would wait for as long as the server says nothing.
                assert served.scrape() == {
                    ("up", frozenset({("of", "dagster")})): 0,
                    ("up", frozenset({("of", "months")})): 0,
                }
            assert served.stop(signal.SIGTERM) == 0
            assert served.process.stderr is not None
            said = served.process.stderr.read()
            assert "Traceback" not in said
            assert loaded["TAXI_POSTGRES_PASSWORD"] not in said
            reason = "refused" if away == "refuses" else "no answer in time"
            assert re.search(rf"(?m)^Error: dagster: .*{reason}", said)


@pytest.mark.integration
def test_when_the_database_is_back_so_are_the_numbers(
    loaded: dict[str, str], stack: EmbeddedStack
) -> None:
    with stack.administrator() as connection, serving(loaded) as served:
        assert value(served.scrape(), "up", of="dagster") == 1
        connection.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE]
        )
        try:
            time.sleep(RECORDS_SECONDS)
            found = served.scrape()
            assert value(found, "up", of="dagster") == 0
            assert "runs" not in names(found)
            # The months that were counted a moment ago are still the months.
            assert value(found, "months", color="green", state="loaded") == 2
        finally:
            connection.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")
        time.sleep(RECORDS_SECONDS)
        assert value(served.scrape(), "up", of="dagster") == 1


@pytest.mark.integration
def test_a_store_that_is_away_hides_no_other(loaded: dict[str, str]) -> None:
    away = {"TAXI_STORES": "postgres,gcs", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    with serving(loaded, **away) as served:
        until = time.monotonic() + 60
        # It is asked for some seconds before it counts as away.
        while not value(found := served.scrape(), "up", of="months"):
            assert time.monotonic() < until
    assert value(found, "store_up", store="gcs") == 0
    assert value(found, "store_up", store="postgres") == 1
    assert value(found, "store_months", store="postgres", color="green") == 2
    assert not any(name == "store_months" and ("store", "gcs") in on for name, on in found)


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_it_is_told_to(loaded: dict[str, str], number: int) -> None:
    with serving(loaded) as served:
        served.scrape()
        assert served.stop(number) == 0
        assert served.process.stderr is not None
        assert served.process.stderr.read() == ""


@pytest.mark.integration
def test_the_images_health_check_asks_the_server_and_measures_nothing(
    loaded: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        database.settimeout(RECORDS_SECONDS + 1)
        with serving(loaded, TAXI_POSTGRES_PORT=str(database.getsockname()[1])) as served:
            with suppress(TimeoutError):
                while True:  # it measures when it starts, and tries that again for some seconds
                    database.accept()[0].close()
            port = httpx.URL(served.url).port
            assert health_check("metrics", str(port)) == 0
            with pytest.raises(TimeoutError):  # nobody has connected
                database.accept()
            served.scrape()
            database.accept()[0].close()
    assert health_check("metrics", str(port)) != 0


def health_check(*arguments: str) -> int:
    path = f"{COMMAND.parent}:{os.environ['PATH']}"  # it calls python
    command = ["sh", str(PROJECT / "deploy/healthcheck"), *arguments]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, check=False)
    return done.returncode


@pytest.mark.integration
def test_a_port_that_is_taken_is_one_line(loaded: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [COMMAND, "metrics", "--port", str(port)],
            env=inherited_environment() | loaded,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: cannot listen on 127.0.0.1:{port} (Address already")
    assert done.stderr.count("\n") == 1


@pytest.mark.integration
def test_clients_that_send_half_a_request_keep_no_threads_and_nobody_out(served: Served) -> None:
    served.scrape()
    before = threads(served)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(served)) for _ in range(300)]
        for client in clients:
            with suppress(OSError):  # the first of them were given up already
                client.sendall(b"GET /met")
        assert value(served.scrape(), "up", of="dagster") == 1
        assert threads(served) - before <= MOST_CONNECTIONS + 8
        until = time.monotonic() + REQUEST_SECONDS + 3
        while threads(served) > before:
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.mark.integration
def test_a_request_that_comes_byte_by_byte_is_given_up(served: Served) -> None:
    with connected(served) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        client.settimeout(0.2)
        began = time.monotonic()
        while time.monotonic() < began + REQUEST_SECONDS + 3:
            try:
                client.sendall(b"x")
                if client.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("it still waits for the rest")


def connected(served: Served) -> socket.socket:
    url = httpx.URL(served.url)
    return socket.create_connection((url.host, url.port or 0), timeout=10)


def threads(served: Served) -> int:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(re.findall(r"(?m)^Threads:\s+(\d+)", status)[0])


@pytest.mark.integration
def test_only_metrics_are_metrics_and_head_is_get_without_a_body(served: Served) -> None:
    def ask(method: str, path: str, **headers: str) -> httpx.Response:
        address = httpx.URL(served.url).join(path)
        return httpx.request(method, address, headers=headers, timeout=30, trust_env=False)

    got, head = ask("GET", "/metrics"), ask("HEAD", "/metrics")
    assert got.status_code == head.status_code == 200
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    with connected(served) as client, client.makefile("rb") as answer:
        client.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        assert answer.read().endswith(b"\r\n\r\n")
    assert ask("GET", "/metrics?x=1").status_code == 200
    assert ask("GET", "/").text == "The metrics are at /metrics\n"
    for path in ("/foo", "/metrics/", "/favicon.ico"):
        assert ask("GET", path).status_code == 404, path
        assert ask("HEAD", path).status_code == 404, path
    assert ask("POST", "/metrics").status_code == 501
    # A page that has its own name resolved to this host reads nothing.
    assert ask("GET", "/metrics", Host="evil.example:9464").status_code == 403
    assert ask("GET", "/metrics", Host="localhost:19464").status_code == 200


@pytest.mark.integration
def test_where_others_can_connect_any_name_may_be_the_servers(loaded: dict[str, str]) -> None:
    with serving(loaded, arguments=["--host", "0.0.0.0"]) as served:  # noqa: S104 (a short while)
        port = httpx.URL(served.url).port
        url, headers = f"http://127.0.0.1:{port}/metrics", {"Host": "metrics:9464"}
        answer = httpx.get(url, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_host_is_one_line_that_names_the_option(host: str) -> None:
    run = CliRunner().invoke(app, ["metrics", "--host", host, "--port", "0"])
    assert run.exit_code == 1
    assert run.stderr.startswith("Error: --host is empty")
    assert run.stderr.count("\n") == 1


@pytest.mark.integration
def test_a_queued_run_that_cannot_be_read_hides_nothing(
    loaded: dict[str, str], stack: EmbeddedStack
) -> None:
    with (
        DagsterInstance.get() as instance,
        psycopg.connect(stack.postgres().conninfo, dbname=DATABASE, autocommit=True) as connection,
    ):
        bad = instance.add_run(DagsterRun(job_name="names no code location"))
        connection.execute("UPDATE runs SET status = 'QUEUED' WHERE run_id = %s", [bad.run_id])
        said: list[str] = []
        collector = PlatformCollector(load_settings(), open_instance, said.append, Keeping(0, 0))
        alone = scraped(collector)
        good = enqueue(instance)
        beside = scraped(collector)
        with pytest.raises(CheckError):  # or this test tests nothing
            instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.QUEUED]))
        connection.execute("DELETE FROM runs WHERE run_id = %s", [bad.run_id])
        instance.delete_run(good.run_id)
    # Nobody knows since when it waits, but all else is known.
    assert value(alone, "up", of="dagster") == 0
    assert value(alone, "run_queue_length") == 1
    assert "run_queue_oldest_seconds" not in names(alone)
    assert "daemon_heartbeat_age_seconds" in names(alone)
    assert said == [f"queue: the queued run {bad.run_id} has no record of when it was queued"]
    assert value(beside, "up", of="dagster") == value(beside, "up", of="months") == 1
    assert value(beside, "run_queue_length") == 2
    assert 0 < value(beside, "run_queue_oldest_seconds") < 60


@pytest.mark.integration
@pytest.mark.usefixtures("loaded")
def test_what_is_shown_because_the_next_is_not_there_in_time_is_not_up(
    monkeypatch: pytest.MonkeyPatch, stack: EmbeddedStack
) -> None:
    collector = PlatformCollector(load_settings(), open_instance, fail_with, Keeping(600, 0))
    assert value(scraped(collector), "up", of="months") == 1
    monkeypatch.setattr("taxi_platform.automation.metrics.PATIENCE_SECONDS", 0.3)
    with psycopg.connect(stack.postgres().conninfo, dbname=DATABASE) as connection:
        connection.execute("LOCK TABLE runs")  # so no answer comes
        found = scraped(collector)
    assert value(found, "up", of="months") == 0
    assert value(found, "months", color="green", state="loaded") == 2


@pytest.mark.integration
def test_workers_and_their_places_are_counted_by_queue(loaded: dict[str, str]) -> None:
    beats = iter(range(1_000))

    def beat(*states: WorkerState) -> None:
        for state in states:
            report(instance, replace(state, beat=next(beats), at=time.time()))

    one, two = (WorkerState(f"{n}@host", "dagster", places=3) for n in (1, 2))
    draining = WorkerState("3@host", "heavy", places=5, is_draining=True)
    gone = WorkerState("4@host", "gone", places=7)
    broker = {"TAXI_CELERY_BROKER": "redis://127.0.0.1:9/0"}
    with DagsterInstance.get() as instance, serving(loaded, **broker) as served:
        beat(one, two, draining, gone)
        assert "workers" not in names(served.scrape())
        time.sleep(RECORDS_SECONDS)
        beat(one, two, draining)
        found = served.scrape()
    assert value(found, "up", of="dagster") == 1
    assert value(found, "workers", queue="dagster") == 2
    assert value(found, "worker_places", queue="dagster") == 6
    assert value(found, "workers", queue="heavy") == 1
    assert value(found, "worker_places", queue="heavy") == 0
    assert value(found, "workers", queue="gone") == value(found, "worker_places", queue="gone") == 0


@pytest.mark.integration
def test_a_store_is_asked_again_when_a_run_has_ended(loaded: dict[str, str]) -> None:
    # The last but one with this installation, which has a month more from here on.
    write_synthetic_month(
        month := TripMonth.from_key("green|2024-04"),
        Path(loaded["DAGSTER_HOME"], f"{month.stem}.parquet"),
        300,
    )
    said: list[str] = []
    at_once = Keeping(records=0, months=0, changed=0)
    lazy = Keeping(records=0, months=0)
    fresh, kept = (
        PlatformCollector(load_settings(), open_instance, said.append, keeping)
        for keeping in (at_once, lazy)
    )
    assert loaded_in(fresh) == loaded_in(kept) == (2, 2)
    load_months(month.key)
    assert loaded_in(fresh) == (3, 3)
    # Its answer of a moment ago counts: the rule against a store that bills for each.
    assert loaded_in(kept) == (2, 2)
    assert said == []


@pytest.mark.integration
def test_rows_of_a_month_that_a_store_lost_are_no_longer_counted(stack: EmbeddedStack) -> None:
    # The last with this installation.
    at_once = Keeping(records=0, months=0, store=0)
    collector = PlatformCollector(load_settings(), open_instance, fail_with, at_once)
    before = scraped(collector)
    with psycopg.connect(stack.postgres().conninfo) as connection:
        child = f"{PLACE}.green_trips_2024_02"
        row = connection.execute(f"SELECT count(*) FROM {child}").fetchone()
        connection.execute(f"DROP TABLE {child}")
    after = scraped(collector)
    (lost,) = row or (0,)
    assert lost > 0
    rows = [value(found, "rows", color="green", source="published") for found in (before, after)]
    assert rows[0] - rows[1] == lost
    months = [value(f, "store_months", store="postgres", color="green") for f in (before, after)]
    assert months[0] - months[1] == 1


def loaded_in(collector: PlatformCollector) -> tuple[float, float]:
    """How many months are loaded, and how many Postgres has."""
    found = scraped(collector)
    states = value(found, "months", color="green", state="loaded")
    return states, value(found, "store_months", store="postgres", color="green")


def scraped(collector: PlatformCollector) -> Samples:
    registry = CollectorRegistry()
    registry.register(collector)
    return samples(generate_latest(registry).decode())
