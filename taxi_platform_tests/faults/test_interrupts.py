"""Ctrl-C and SIGTERM end a run at once, as canceled, and leave the month as it was."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from queue import Queue

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack, free_port, stop_process
from taxi_platform_tests.faults.month_runs import publish, template
from taxi_platform_tests.faults.own_postgres import sessions
from taxi_platform_tests.faults.tcp_fault_proxy import Cut, TcpFaultProxy, tcp_fault_proxy
from taxi_platform_tests.months import cleaned_month

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = TripMonth.from_key("green|2023-03")
SCHEMA = "interrupt_test"
SIGNALS = [signal.SIGINT, signal.SIGTERM]
AT_ONCE = 40
"""Seconds, on a busy machine; a process takes some to end. Retries would take an hour."""

_rows = count(60_000, 7)


@pytest.fixture(scope="module")
def proxy(stack: EmbeddedStack) -> Iterator[TcpFaultProxy]:
    with tcp_fault_proxy(stack.postgres().port) as running:
        yield running


class Command:
    """A `dagster asset materialize` of the month, as a user starts it."""

    def __init__(self, stack: EmbeddedStack, proxy: TcpFaultProxy, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\n"
            # Without a queue, which only the daemon would empty.
            "run_coordinator:\n"
            "  {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
        )
        self.landing = LandingZone(folder / "data")
        self.store = PostgresStore(stack.postgres(), SCHEMA)
        self.environment = stack.environ(
            DAGSTER_HOME=str(self.home),
            TAXI_DATA_DIR=str(folder / "data"),
            TAXI_POSTGRES_PORT=str(proxy.port),
            TAXI_POSTGRES_SCHEMA=SCHEMA,
            TAXI_RETRIES="3",
            TAXI_RETRY_SECONDS="1200",
        )
        self.folder = folder
        self.log = folder / "log"

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "dagster", "asset", "materialize"),
                    *("-m", "taxi_platform.definitions", "--select", "postgres_trips"),
                    *("--partition", MONTH.key),
                ],
                cwd=self.folder,
                env=self.environment,
                stderr=log,
            )

    def launch(self, job: str, partition: str) -> None:
        """Has the code server execute a job, as the UI does."""
        subprocess.run(
            [
                *(sys.executable, "-m", "dagster", "job", "backfill", "-w", "workspace.yaml"),
                *("-j", job, "--partitions", partition, "--noprompt"),
            ],
            cwd=self.folder,
            env=self.environment,
            check=True,
        )

    def status(self) -> DagsterRunStatus:
        """Of the last run."""
        with DagsterInstance.from_config(str(self.home)) as instance:
            return instance.get_runs(limit=1)[0].status


@pytest.fixture
def command(stack: EmbeddedStack, proxy: TcpFaultProxy, tmp_path: Path) -> Command:
    return Command(stack, proxy, tmp_path)


MOMENTS = {
    "in the copy": b"COPY ",
    "in the exchange": b"ATTACH PARTITION",
}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_cancels_the_run_and_keeps_the_month(
    command: Command, proxy: TcpFaultProxy, moment: str, number: signal.Signals
) -> None:
    old = cleaned_month(command.landing, MONTH, next(_rows))
    command.store.replace_month(old)
    new = cleaned_month(command.landing, MONTH, next(_rows))
    ended: Queue[int] = Queue()

    def interrupt() -> None:
        # Meanwhile the server does not get what the client sends.
        process.send_signal(number)
        ended.put(process.wait(AT_ONCE))

    passed_on = 4 if moment == "in the copy" else 0
    with proxy.cutting(Cut(MOMENTS[moment], passed_on=passed_on, meanwhile=interrupt)) as cut:
        process = command.start()
        assert ended.get(timeout=200) != 0
    assert cut.cuts == 1
    assert command.status() is DagsterRunStatus.CANCELED
    assert command.store.totals(MONTH) == old.totals
    assert sessions(command.store.server) == 0
    command.store.replace_month(new)
    assert command.store.totals(MONTH) == new.totals


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_ends_the_wait_between_retries(
    command: Command, proxy: TcpFaultProxy, number: signal.Signals
) -> None:
    trips = cleaned_month(command.landing, MONTH, 1_000)
    with proxy.cutting(Cut(b"COPY ", times=None)):
        process = command.start()
        while "STEP_UP_FOR_RETRY" not in command.log.read_text():
            assert process.poll() is None, "it ended before"
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(AT_ONCE) != 0
    assert command.status() is DagsterRunStatus.CANCELED
    command.store.replace_month(trips)
    assert command.store.totals(MONTH) == trips.totals


def test_terminate_in_the_ui_cancels_a_launched_run_in_the_copy(
    command: Command, proxy: TcpFaultProxy, tmp_path: Path
) -> None:
    publish(tmp_path / "published", "yellow|2019-02", next(_rows))
    ended: Queue[DagsterRunStatus] = Queue()

    def terminate() -> None:
        with DagsterInstance.from_config(str(command.home)) as instance:
            (run,) = instance.get_runs()
            # What the UI's button does.
            instance.run_coordinator.cancel_run(run.run_id)
            deadline = time.monotonic() + AT_ONCE
            while not (run := instance.get_runs()[0]).is_finished and time.monotonic() < deadline:
                time.sleep(0.2)
            ended.put(run.status)

    with (
        code_server(command, template(tmp_path / "published")),
        proxy.cutting(Cut(b"COPY ", passed_on=4, meanwhile=terminate)),
    ):
        command.launch("web_to_postgres", "yellow|2019-02")
        assert ended.get(timeout=100) is DagsterRunStatus.CANCELED
    assert sessions(command.store.server) == 0
    assert (
        not command.store.has_table("yellow")
        or not command.store.totals(TripMonth.from_key("yellow|2019-02")).rows
    )


@contextmanager
def code_server(command: Command, source: str) -> Iterator[None]:
    """Dagster's code server, which starts a process for each run that is launched."""
    port = free_port()
    (command.folder / "workspace.yaml").write_text(
        f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: ours}}}}]\n"
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dagster", "api", "grpc", "-m", "taxi_platform.definitions"),
            *("-h", "127.0.0.1", "-p", str(port)),
        ],
        cwd=command.folder,
        env=command.environment | {"TAXI_SOURCE_URL": source},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        client = DagsterGrpcClient(port=port, host="127.0.0.1")
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(DagsterUserCodeUnreachableError):
                client.ping("")
                break
            assert time.monotonic() < deadline, "the code server does not answer"
            time.sleep(0.2)
        yield
    finally:
        stop_process(process)
