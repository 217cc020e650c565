"""The embedded stack after kills, thefts, copies, damage and failures."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dotenv import dotenv_values

from taxi_platform.local import (
    dagster_home,
    gcs_server,
    postgres_server,
    processes,
    server,
)
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.processes import Account
from taxi_platform.local.stack import LocalStack
from taxi_platform_tests.conftest import ignore_interrupts
from taxi_platform_tests.local.stack.stacks import (
    NAMES,
    by_name,
    connect,
    make_project,
    pids,
    states,
)

pytestmark = pytest.mark.integration


@contextmanager
def ready_looking_server() -> Iterator[int]:
    """The port of somebody else's server, which answers every GET with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as thief:
        thread = threading.Thread(target=thief.serve_forever)
        thread.start()
        try:
            yield thief.server_port
        finally:
            thief.shutdown()
            thread.join()


def up_in(project: Path) -> None:
    dagster_home.make_dagster_tables = lambda *_: None
    LocalStack(project).up()


@pytest.mark.parametrize("name", NAMES)
def test_only_a_dead_server_is_started_again(stack: LocalStack, name: str) -> None:
    stack.up()
    before = by_name(stack)
    pid = before[name].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while by_name(stack)[name].state != "stopped" and time.monotonic() < deadline:
        time.sleep(0.05)

    stack.up()

    after = by_name(stack)
    assert [status.state for status in after.values()] == ["running"] * 3
    assert after[name].pid != pid
    assert {n: s.address for n, s in after.items()} == {n: s.address for n, s in before.items()}
    for other in set(NAMES) - {name}:
        assert after[other].pid == before[other].pid


def test_a_port_taken_meanwhile_is_replaced(stack: LocalStack, project: Path) -> None:
    stack.up()
    before = stack.environment()
    stack.down()

    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", int(before["TAXI_POSTGRES_PORT"])))
        thief.listen()
        stack.up()
        assert stack.environment()["TAXI_POSTGRES_PORT"] != before["TAXI_POSTGRES_PORT"]
        assert dotenv_values(project / ".env") == stack.environment()
        assert states(stack) == ["running"] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_port_stolen_before_it_is_bound_is_replaced(
    stack: LocalStack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = processes.free_port
    wanted = server.start
    starting: list[str] = []

    def note_name(what: server.Server, **arguments: object) -> object:
        starting.append(what.name)
        return wanted(what, **arguments)  # type: ignore[arg-type]

    with ready_looking_server() as stolen:

        def stolen_first(preferred: int | None = None) -> int:
            if starting[-1] == name and starting.count("stolen") == 0:
                starting.extend(["stolen", name])
                return stolen
            return genuine(preferred)

        monkeypatch.setattr(processes, "free_port", stolen_first)
        monkeypatch.setattr("taxi_platform.local.stack.start", note_name)
        stack.up()

        assert "stolen" in starting
        assert states(stack) == ["running"] * 3
        assert str(stolen) not in str(by_name(stack)[name].address)


def test_the_emulator_follows_the_gcs_server_to_another_port(stack: LocalStack) -> None:
    stack.up()
    before = by_name(stack)
    gcs = before["gcs"]
    assert gcs.pid is not None
    assert gcs.address is not None
    os.kill(gcs.pid, signal.SIGKILL)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                thief.bind(("127.0.0.1", int(gcs.address.rpartition(":")[2])))
                break
            except OSError:
                time.sleep(0.05)
        thief.listen()
        stack.up()

    after = by_name(stack)
    assert after["gcs"].address != gcs.address
    assert after["bigquery"].pid != before["bigquery"].pid
    assert after["bigquery"].address == before["bigquery"].address
    assert after["postgres"].pid == before["postgres"].pid


def test_down_spares_a_process_that_got_a_recorded_pid(stack: LocalStack) -> None:
    stack.up()
    state_path = stack.folder / "stack.json"
    state = json.loads(state_path.read_text())
    gcs = state["servers"]["gcs"]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            real_pid, gcs["pid"] = gcs["pid"], stranger.pid
            state_path.write_text(json.dumps(state))

            lines: list[str] = []
            stack.down(lines.append)

            assert stranger.poll() is None
            assert any(str(stranger.pid) in line and "ended" in line for line in lines)
            with pytest.raises(ProcessLookupError):
                processes.identity_of(real_pid)
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99}', "", '{"version": 1}'])
def test_a_damaged_state_file_is_repaired(stack: LocalStack, content: str) -> None:
    stack.up()
    old = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS x")
    (stack.folder / "stack.json").write_text(content)

    lines: list[str] = []
    stack.up(lines.append)

    assert any("damaged" in line for line in lines)
    assert states(stack) == ["running"] * 3
    for pid in old.values():
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            processes.identity_of(pid)
    with connect(stack.environment()) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (42,)


def test_down_finds_servers_whose_record_is_lost(stack: LocalStack) -> None:
    stack.up()
    old = pids(stack)
    (stack.folder / "stack.json").unlink()

    stack.down()

    for pid in old.values():
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            processes.identity_of(pid)


def test_a_stale_pid_file_of_postgres_does_not_hinder(stack: LocalStack) -> None:
    stack.up()
    pid_file = stack.folder / "postgres" / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    stack.down()
    # As after a reboot, when its pid has gone to another program of the same user.
    owner = pid_file.parent.stat()
    stranger = processes.start_detached(
        ["/bin/sleep", "600"],
        log=stack.folder / "logs" / "stranger.log",
        environment={},
        account=Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None,
    )
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *content[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)

        stack.up()

        assert states(stack) == ["running"] * 3
        assert processes.find(stranger) is not None
    finally:
        processes.stop(stranger, signal.SIGKILL, 5)


def test_a_postgres_at_work_on_the_data_is_not_pushed_aside(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    before = pids(stack)
    monkeypatch.setattr(postgres_server, "_CRASH_SECONDS", 0.5)
    # Nothing tells that the stack started it: no record, no known command line.
    monkeypatch.setattr(
        postgres_server.EmbeddedPostgres, "distinctive_arguments", lambda _: ("no such argument",)
    )
    state_path = stack.folder / "stack.json"
    recorded = state_path.read_text()
    state = json.loads(recorded)
    del state["servers"]["postgres"]
    state_path.write_text(json.dumps(state))

    with pytest.raises(LocalStackError, match=f"works on .*pid {before['postgres']}"):
        stack.up()

    state_path.write_text(recorded)
    assert pids(stack) == before


def test_a_copied_folder_leaves_the_original_alone(stack: LocalStack, folder: Path) -> None:
    stack.up()
    before = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    subprocess.run(["cp", "-a", stack.project_dir, folder / "copy"], check=True)
    copy = LocalStack(folder / "copy")

    lines: list[str] = []
    copy.down(lines.append)
    assert any("copy" in line for line in lines)
    copy.up()
    copy.reset()

    assert pids(stack) == before
    assert states(stack) == ["running"] * 3
    with connect(stack.environment()) as connection:
        connection.execute("SELECT x FROM t")


def test_a_moved_folder_takes_servers_and_data_along(stack: LocalStack, folder: Path) -> None:
    stack.up()
    old = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    stack.project_dir.rename(folder / "moved")
    moved = LocalStack(folder / "moved")

    moved.up()

    assert states(moved) == ["running"] * 3
    assert set(old.values()).isdisjoint(pids(moved).values())
    with connect(moved.environment()) as connection:
        connection.execute("SELECT x FROM t")


def test_two_ups_at_once_start_one_stack(stack: LocalStack) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=up_in, args=(stack.project_dir,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)

    assert [process.exitcode for process in both] == [0, 0]
    assert states(stack) == ["running"] * 3
    for server_ in stack._servers(stack._state_file.load()):
        assert len(processes.with_arguments(*server_.distinctive_arguments())) == 1


def test_a_failing_server_is_named_with_its_log_and_the_others_are_stopped(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxi_platform.local.bigquery_server._MODULE", "no_such_module")

    with pytest.raises(LocalStackError) as caught:
        stack.up()

    message = str(caught.value)
    assert "BigQuery emulator" in message
    assert str(stack.folder / "logs" / "bigquery.log") in message
    assert "No module named no_such_module" in message
    assert states(stack) == ["stopped"] * 3
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []
    assert not (stack.project_dir / ".env").exists()


def test_a_failing_server_leaves_those_that_ran_before(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    before = pids(stack)
    monkeypatch.setattr("taxi_platform.local.bigquery_server._MODULE", "no_such_module")

    with pytest.raises(LocalStackError):
        stack.up()

    assert pids(stack) == before | {"bigquery": None}


def test_an_interrupted_up_leaves_nothing_running(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres_server.EmbeddedPostgres, "ensure_databases", interrupt)

    with pytest.raises(KeyboardInterrupt):
        stack.up()

    assert states(stack) == ["stopped"] * 3
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []


def test_an_up_that_was_killed_can_be_repeated(stack: LocalStack) -> None:
    context = multiprocessing.get_context("spawn")
    killed = context.Process(target=up_in, args=(stack.project_dir,))
    killed.start()
    deadline = time.monotonic() + 60
    while by_name(stack)["postgres"].pid is None and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.join()

    stack.up()

    assert states(stack) == ["running"] * 3
    stack.down()
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []


def test_a_server_that_never_answers_is_stopped(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READY_SECONDS", 1.0)
    monkeypatch.setattr(gcs_server.EmbeddedGCS, "answers", lambda *_: False)

    with pytest.raises(LocalStackError, match=r"GCS server did not answer within 1 s.*gcs\.log"):
        stack.up()

    assert processes.with_arguments(str(stack.folder / "gcs")) == []


def test_a_cluster_of_another_major_version_is_refused(stack: LocalStack) -> None:
    stack.up()
    stack.down()
    (stack.folder / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(LocalStackError, match=r"PostgreSQL 15.*taxi-platform local reset"):
        stack.up()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_that_is_told_to_stop_in_the_background_stops_what_it_started(
    folder: Path, root_folder: Path, number: signal.Signals
) -> None:
    stack = LocalStack(make_project(folder / "project"))
    up = subprocess.Popen(
        [Path(sys.executable).with_name("taxi-platform"), "local", "up"],
        cwd=stack.project_dir,
        stdout=subprocess.DEVNULL,
        preexec_fn=ignore_interrupts,
    )
    deadline = time.monotonic() + 60
    while not by_name(stack)["postgres"].pid:
        assert up.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    up.send_signal(number)
    assert up.wait(60) == 130
    assert states(stack) == ["stopped"] * 3
