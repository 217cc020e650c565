"""A reader of the documents, who types their commands into a shell, in a checkout of their own.

All that is not as on a reader's machine: `.venv` is there already, a line of the reader's own
`.env` says where trips come from, and `make dev` listens at a free port.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from taxi_platform_tests.conftest import (
    PROJECT,
    free_port,
    ignore_interrupts,
    inherited_environment,
)

OWN_FILES = "/data/tlc"
"""Where the documents suppose that a reader's own trip files lie."""

ACTIVATE = ". .venv/bin/activate"


def blocks_of(text: str) -> list[list[str]]:
    """The commands of each `sh` block; lines that end with a backslash go on in the next."""
    found = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [block.replace("\\\n", " ").splitlines() for block in found]


class Reader:
    """Who types the commands into a shell, in a checkout that has its `.venv`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        kept = inherited_environment()
        for name in ("VIRTUAL_ENV", "PYTHONPATH"):
            kept.pop(name, None)
        venv = str(Path(sys.executable).parent)
        path = [entry for entry in kept["PATH"].split(os.pathsep) if entry != venv]
        self.environment = kept | {
            "PATH": os.pathsep.join(path),
            "PORT": str(self.port),
            # The checkout's own package, of which `.venv` has that of the tests.
            "PYTHONPATH": str(folder),
        }
        self.active = False
        self.servers: list[subprocess.Popen[bytes]] = []

    def shell(self, command: str) -> list[str]:
        return ["bash", "-c", f"{ACTIVATE}; {command}" if self.active else command]

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; what it says is in ``stdout``."""
        return subprocess.run(
            self.shell(command.replace(OWN_FILES, f"{self.folder}/own")),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def run(self, command: str, code: int = 0) -> str:
        """Runs a command that ends with this exit code; what it says."""
        done = self.attempt(command)
        assert done.returncode == code, f"{command}\n{done.stdout}"
        assert code or "Traceback" not in done.stdout, done.stdout
        self.active = self.active or command == ACTIVATE
        return done.stdout

    def serve(self, command: str) -> None:
        """Starts a server in the background and waits until it answers."""
        with (self.folder / "server.log").open("wb") as log:
            server = subprocess.Popen(
                self.shell(command),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=ignore_interrupts,
            )
        self.servers.append(server)
        deadline = time.monotonic() + 180
        while not self._answers():
            log_text = (self.folder / "server.log").read_text()
            assert server.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.5)

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/server_info"
        try:
            return httpx.get(url, timeout=20, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def stop_servers(self) -> None:
        """Stops them by SIGTERM, and sees that nothing of them is left."""
        for server in self.servers:
            if server.poll() is not None:
                continue
            family = psutil.Process(server.pid).children(recursive=True)
            server.terminate()
            server.wait(60)
            # A code server waits up to 60 seconds for what it is being asked.
            deadline = time.monotonic() + 120
            while (left := [p for p in family if is_running(p)]) and time.monotonic() < deadline:
                time.sleep(0.5)
            for process in left:
                process.kill()
            assert not left, left


def is_running(process: psutil.Process) -> bool:
    """Whether a process has not ended, even if in a container nobody collects its exit code."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def reading(folder: Path, source: str) -> Iterator[Reader]:
    """A reader in a new checkout, whose servers are stopped and whose data is deleted.

    Args:
        folder: where to make the checkout.
        source: TAXI_SOURCE_URL, which may begin with OWN_FILES.
    """
    skipped = shutil.ignore_patterns(".*", "__pycache__", "test-artefacts")
    shutil.copytree(PROJECT, folder, ignore=skipped)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/.ready").write_text(str(folder))
    (folder / "own").mkdir()
    source = source.replace(OWN_FILES, f"{folder}/own")
    (folder / ".env").write_text(f"TAXI_SOURCE_URL={source}\n")
    found = Reader(folder)
    try:
        yield found
    finally:
        try:
            found.stop_servers()
        finally:
            found.active = True
            found.run("taxi-platform local reset --yes")
