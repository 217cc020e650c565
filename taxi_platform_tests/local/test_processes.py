import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform.local import processes
from taxi_platform.local.processes import ProcessIdentity

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


class Starter:
    """Starts Python programs, and kills what a test leaves of them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.started: list[ProcessIdentity] = []

    def __call__(self, program: str, *arguments: str) -> ProcessIdentity:
        self.log.write_bytes(b"")
        identity = processes.start_detached(
            [sys.executable, "-c", program, *arguments], log=self.log, environment=os.environ
        )
        self.started.append(identity)
        deadline = time.monotonic() + 20
        while "up" not in self.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        return identity


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path / "program.log")
    yield starter
    for identity in starter.started:
        processes.stop(identity, signal.SIGKILL, 5)


def test_a_started_process_leads_a_session_of_its_own(start: Starter) -> None:
    identity = start(SLEEP)

    assert os.getsid(identity.pid) == identity.pid
    assert processes.find(identity) is not None


def test_its_output_goes_to_a_log_that_others_cannot_read(tmp_path: Path) -> None:
    log = tmp_path / "new.log"
    identity = processes.start_detached(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"],
        log=log,
        environment={},
    )
    deadline = time.monotonic() + 20
    while processes.find(identity) is not None and time.monotonic() < deadline:
        time.sleep(0.02)

    assert sorted(log.read_text().split()) == ["err", "out"]
    assert log.stat().st_mode & 0o077 == 0


def test_a_process_stops_gently(start: Starter) -> None:
    identity = start(SLEEP)

    assert processes.stop(identity, signal.SIGTERM, 10)
    assert processes.find(identity) is None
    assert not processes.stop(identity, signal.SIGTERM, 10)


def test_a_process_deaf_to_the_gentle_signal_is_killed(start: Starter) -> None:
    identity = start(DEAF)

    assert processes.stop(identity, signal.SIGTERM, 0.2)
    assert processes.find(identity) is None


@pytest.mark.slow
def test_a_killed_process_takes_its_children_along(start: Starter) -> None:
    parent = start(
        "import subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True); "
        f"exec({DEAF!r})"
    )
    children: list[ProcessIdentity] = []
    deadline = time.monotonic() + 20
    while not children and time.monotonic() < deadline:
        process = processes.find(parent)
        assert process is not None
        children = [processes.identity_of(child.pid) for child in process.children()]

    processes.stop(parent, signal.SIGTERM, 0.2)

    assert children
    assert processes.find(children[0]) is None


def test_a_reused_pid_is_another_process(start: Starter) -> None:
    stranger = start(SLEEP)
    recorded = ProcessIdentity(pid=stranger.pid, created="another boot/12345")

    assert processes.find(recorded) is None
    assert not processes.stop(recorded, signal.SIGTERM, 1)
    assert processes.find(stranger) is not None


def test_identities_of_one_process_are_equal(start: Starter) -> None:
    identity = start(SLEEP)

    assert processes.identity_of(identity.pid) == identity
    assert processes.identity_of(os.getpid()) != identity


def test_a_dead_child_that_nobody_awaited_counts_as_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as child:
        identity = processes.identity_of(child.pid)
        child.kill()
        deadline = time.monotonic() + 10
        while processes.find(identity) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes.find(identity) is None


def test_there_is_no_identity_without_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    with pytest.raises(ProcessLookupError):
        processes.identity_of(child.pid)


def test_processes_are_found_by_whole_arguments(start: Starter, tmp_path: Path) -> None:
    mark = str(tmp_path / "data")
    identity = start(SLEEP, "--data-dir", mark)

    assert processes.with_arguments("--data-dir", mark) == [identity]
    assert processes.with_arguments("--data-dir", mark[:-1]) == []
    assert processes.with_arguments("--other", mark) == []


def test_the_preferred_port_is_taken_only_if_free() -> None:
    with socket.socket() as server:
        server.bind((processes.LOOPBACK, 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not processes.port_is_free(taken)
        assert processes.free_port(taken) != taken
    assert processes.free_port(taken) == taken


def test_a_port_belongs_to_who_listens_on_it(start: Starter) -> None:
    identity = start(SLEEP)
    stranger = processes.find(identity)
    with socket.socket() as server:
        server.bind((processes.LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        own = processes.find(processes.identity_of(os.getpid()))
        assert own is not None
        assert stranger is not None
        assert processes.listens_on(own, port)
        assert not processes.listens_on(stranger, port)


def test_large_logs_are_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_ROTATE_ABOVE_BYTES", 10)
    log = tmp_path / "server.log"
    processes.rotate(log)
    log.write_bytes(b"short")
    processes.rotate(log)
    assert log.read_bytes() == b"short"

    log.write_bytes(b"longer than ten bytes")
    (tmp_path / "server.log.1").write_bytes(b"old")
    processes.rotate(log)

    assert not log.exists()
    assert (tmp_path / "server.log.1").read_bytes() == b"longer than ten bytes"


def test_last_lines_are_those_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("before\none\ntwo\nthree\n")

    assert processes.last_lines(log, count=2, since=len("before\n")) == "two\nthree"
    assert processes.last_lines(log, since=len("before\n")) == "one\ntwo\nthree"
    assert processes.last_lines(tmp_path / "none") == ""
