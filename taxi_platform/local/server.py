"""The interface of a server, and how a server is started.

This is the common part of all three servers. Each server has a module of its own.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.local import processes
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.processes import LOOPBACK, Account, ProcessIdentity
from taxi_platform.local.state import ServerRecord

READY_SECONDS = 60.0
_ATTEMPTS = 5
_POLL_SECONDS = 0.05

Report = Callable[[str], None]


@dataclass(frozen=True)
class Launch:
    """How a server's program is started, besides its arguments."""

    program: str
    environment: dict[str, str]
    account: Account | None = None


class Server(ABC):
    """One of the servers of the stack.

    Attributes:
        name: Its key in the state file, and the name of its log.
        title: Its name for people.
        gentle_signal: The signal for a clean shutdown.
        stop_seconds: How long that may take.
    """

    name: str
    title: str
    gentle_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0

    @property
    @abstractmethod
    def data_directory(self) -> Path:
        """The folder of its data."""

    @abstractmethod
    def prepare(self, report: Report) -> Launch:
        """Prepares its data folder for the start.

        Raises:
            LocalStackError: It cannot be prepared, and the user has to act.
        """

    @abstractmethod
    def arguments(self, port: int) -> tuple[str, ...]:
        """The arguments of its program to serve this project's data on this port."""

    @abstractmethod
    def distinctive_arguments(self) -> tuple[str, ...]:
        """Arguments by which a process of this server, with this data, is recognized."""

    @abstractmethod
    def answers(self, port: int) -> bool:
        """Whether it works correctly at this port now."""

    def address(self, port: int) -> str:
        """Its address, for users and clients."""
        return f"http://{LOOPBACK}:{port}"

    def is_healthy(self, record: ServerRecord) -> bool:
        """Whether this process serves its port."""
        process = processes.find(record.process)
        return (
            process is not None
            and processes.listens_on(process, record.port)
            and self.answers(record.port)
        )

    def stop(self, process: ProcessIdentity) -> bool:
        """Stops one process of this server; says whether it was running."""
        return processes.stop(process, self.gentle_signal, self.stop_seconds)


def start(
    server: Server,
    *,
    log: Path,
    preferred_port: int | None,
    record: Callable[[ServerRecord], None],
    report: Report,
) -> ServerRecord:
    """Starts a server and waits until it answers.

    A port that is taken between being chosen and being bound is replaced by another.

    Args:
        server: What to start.
        log: Where its output goes.
        preferred_port: The port it had before.
        record: Is called with each process as soon as it exists, so that none is lost.
        report: Is called with lines worth knowing.

    Raises:
        LocalStackError: It ended, or did not answer in time.
    """
    launch = server.prepare(report)
    processes.rotate(log)
    deadline = time.monotonic() + READY_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        port = processes.free_port(preferred_port if attempt == 1 else None)
        since = log.stat().st_size if log.exists() else 0
        started = _start_once(server, launch, log, port)
        record(started)
        if answers_before(server, started, deadline):
            return started
        ended = processes.find(started.process) is None
        lines = processes.last_lines(log, since=since)
        if ended and attempt < _ATTEMPTS and not processes.port_is_free(port):
            continue
        server.stop(started.process)
        problem = "ended at once" if ended else f"did not answer within {READY_SECONDS:.0f} s"
        raise LocalStackError(_failure(server, problem, log, lines))
    raise AssertionError("the last attempt returns or raises")


def _start_once(server: Server, launch: Launch, log: Path, port: int) -> ServerRecord:
    arguments = server.arguments(port)
    try:
        process = processes.start_detached(
            [launch.program, *arguments],
            log=log,
            environment=launch.environment,
            account=launch.account,
        )
    except OSError as error:
        raise LocalStackError(_failure(server, f"cannot be started ({error})", log, "")) from error
    return ServerRecord(process=process, port=port, arguments=arguments)


def answers_before(server: Server, record: ServerRecord, deadline: float) -> bool:
    """Waits until a server is healthy; False once it has ended or the deadline has passed.

    The deadline is in terms of `time.monotonic`.
    """
    while time.monotonic() < deadline:
        if processes.find(record.process) is None:
            return False
        if server.is_healthy(record):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _failure(server: Server, problem: str, log: Path, lines: str) -> str:
    quoted = "".join(f"\n    {line}" for line in lines.splitlines())
    return f"The {server.title} {problem}. Its log is {log}" + (
        f" and ends:{quoted}" if lines else "."
    )
