"""Detached server processes: starting, recognising and stopping them.

A process is known by its pid together with the moment it was created, never by its name: a pid
alone may belong to another program by the time it is looked at. Belongs here: everything that
touches the process table, ports and log files. What the servers are does not.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from taxi_platform.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"
_ROTATE_ABOVE_BYTES = 10 * 1024 * 1024
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0


@dataclass(frozen=True)
class ProcessIdentity:
    """Identifies one process; a later process with the same pid is another.

    Attributes:
        pid: Its process id.
        created: When it was created, in a form that only compares for equality.
    """

    pid: int
    created: str


@dataclass(frozen=True)
class Account:
    """The system account of a server, if it is not the caller's own."""

    uid: int
    gid: int


def start_detached(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    account: Account | None = None,
) -> ProcessIdentity:
    """Starts a program that outlives this process and its terminal.

    Its output goes to the end of `log`. Its working folder is `/`, so that it keeps no folder
    of the user's busy.

    Raises:
        OSError: The program cannot be executed.
    """
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=dict(environment),
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    identity = identity_of(child.pid)
    # From here on the process table says how it fares; the object would only warn, when it is
    # collected, that its process still runs.
    child.returncode = 0
    return identity


def identity_of(pid: int) -> ProcessIdentity:
    """Identifies a running process.

    Raises:
        ProcessLookupError: There is none with this pid.
    """
    created = _created(pid)
    if created is None:
        raise ProcessLookupError(pid)
    return ProcessIdentity(pid=pid, created=created)


def find(identity: ProcessIdentity) -> psutil.Process | None:
    """The process with this identity if it is still running, else None."""
    try:
        process = psutil.Process(identity.pid)
        if _created(identity.pid) != identity.created:
            return None
        # While other threads of it still end, they keep its port and its files.
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            _reap(identity.pid)
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def with_arguments(*arguments: str) -> list[ProcessIdentity]:
    """Every running process whose command line has all of these as whole arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            command_line = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if all(argument in command_line for argument in arguments) and _sees_our_files(process.pid):
            with suppress(ProcessLookupError):
                found.append(identity_of(process.pid))
    return found


def stop(identity: ProcessIdentity, gentle: signal.Signals, seconds: float) -> bool:
    """Stops a process: gently, then, `seconds` later, with its whole group by SIGKILL.

    Returns:
        Whether it was running.

    Raises:
        LocalStackError: It belongs to another user, or survived SIGKILL.
    """
    process = find(identity)
    if process is None:
        return False
    try:
        family = process.children(recursive=True)
        process.send_signal(gentle)
        if not _gone_within(identity, seconds):
            _kill_group(process)
            _gone_within(identity, _KILL_SECONDS)
            # Postgres gives each of its own processes a group of their own.
            _, left = psutil.wait_procs(family, timeout=2)
            for member in left:
                member.kill()
            psutil.wait_procs(left, timeout=_KILL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    except (psutil.AccessDenied, PermissionError) as error:
        raise LocalStackError(
            f"Process {identity.pid} cannot be stopped: it belongs to another user. "
            "Run the command as the user who ran `taxi-platform local up`."
        ) from error
    if find(identity) is not None:
        raise LocalStackError(f"Process {identity.pid} does not stop, not even by SIGKILL.")
    return True


def listens_on(process: psutil.Process, port: int) -> bool:
    """Whether it is this process that listens on the port, as far as one may look."""
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def free_port(preferred: int | None = None) -> int:
    """A loopback port nobody listens on: the preferred one if possible."""
    if preferred is not None and port_is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: connections that linger after a stop do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def rotate(log: Path) -> None:
    """Keeps a log that has grown above 10 MB as `<log>.1`, in place of the one before it."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _ROTATE_ABOVE_BYTES:
            log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path, count: int = 15, since: int = 0) -> str:
    """The last lines of a log, of what was written after the first `since` bytes."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(since, end - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _created(pid: int) -> str | None:
    """The creation time of a process; None if there is none with this pid.

    On Linux it is the kernel's tick count with the id of the boot. The wall-clock time that
    psutil derives from it moves when the clock is set, and a running server would then look
    like a stranger.
    """
    if not sys.platform.startswith("linux"):
        try:
            return repr(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the program's name in parentheses, may itself hold spaces and
    # parentheses. The start time is the 22nd field.
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def _sees_our_files(pid: int) -> bool:
    """Whether a path means the same to a process as here: a container's has its own files."""
    namespace = Path(f"/proc/{pid}/ns/mnt")
    try:
        return namespace.readlink() == Path("/proc/self/ns/mnt").readlink()
    except FileNotFoundError:  # gone, or a system without mount namespaces
        return True
    except OSError:
        return False


def _reap(pid: int) -> None:
    """Reaps a dead child of this process."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _gone_within(identity: ProcessIdentity, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while find(identity) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _kill_group(process: psutil.Process) -> None:
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
            return
    process.kill()
