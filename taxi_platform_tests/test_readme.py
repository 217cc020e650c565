"""The commands of README.md, run as they are printed there, by a shell, in a folder of their own.

Every line of its `sh` blocks is run, but for those that EXCLUDED gives a reason for. All that is
not as on a reader's machine: trips are synthetic, as a line of the reader's own `.env` says, and
`make dev` listens at a free port.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.conftest import (
    PROJECT,
    free_port,
    ignore_interrupts,
    inherited_environment,
)

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(1200)]

EXCLUDED = {"make test": "it would run this test within itself"}
SERVERS = {"make dev"}
OWN_FILES = "/data/tlc"
"""Where README.md supposes that a reader's own trip files lie."""

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
        self.environment = kept | {"PATH": os.pathsep.join(path), "PORT": str(self.port)}
        self.active = False
        self.servers: list[subprocess.Popen[bytes]] = []

    def shell(self, command: str) -> list[str]:
        return ["bash", "-c", f"{ACTIVATE}; {command}" if self.active else command]

    def run(self, command: str) -> str:
        done = subprocess.run(
            self.shell(command.replace(OWN_FILES, f"{self.folder}/own")),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        assert "Traceback" not in done.stdout
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


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "checkout"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "test-artefacts")
    shutil.copytree(PROJECT, folder, ignore=skipped)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/.ready").write_text(str(folder))
    (folder / ".env").write_text("TAXI_SOURCE_URL=synthetic\n")
    (folder / "own").mkdir()
    month = TripMonth.from_key("green|2024-01")
    write_synthetic_month(month, folder / f"own/{month.stem}.parquet", 2_000)
    found = Reader(folder)
    yield found
    try:
        found.stop_servers()
    finally:
        found.active = True
        found.run("taxi-platform local reset --yes")


def test_every_command_of_the_readme_does_what_it_says(reader: Reader) -> None:
    said: dict[str, str] = {}
    for block in blocks_of((PROJECT / "README.md").read_text()):
        for command in block:
            if command in EXCLUDED:
                continue
            if command in SERVERS:
                reader.serve(command)
            else:
                said[command] = reader.run(command)
    assert "reconciled: 2 partitions" in said["make demo"].splitlines()[-1]
    assert "postgres_trips" in said["dg list defs"]
    assert "12 months loaded, 0 failed" in "".join(said.values())
    rows = reader.run("taxi-platform query 'SELECT count(*) FROM trips.green_trips'")
    assert re.fullmatch(r"count\n[1-9]\d+\n", rows), rows
    # The last command took a month of 2,000 rows from a folder the whole way, over the demo's.
    month = "SELECT count(*) FROM trips.green_trips WHERE data_file_month = DATE '2024-01-01'"
    own = reader.run(f'taxi-platform query "{month}"')
    assert re.fullmatch(r"count\n(19\d\d|2000)\n", own), own
    assert {"make demo", "dg check defs", "taxi-platform local up"} <= said.keys()
    assert reader.servers
    assert any(command.startswith("dg launch") for command in said)
    assert any(command.startswith("dagster asset materialize") for command in said)


def test_what_looks_at_definitions_needs_no_stack_and_what_runs_them_says_what_to_do(
    reader: Reader,
) -> None:
    reader.active = True
    for command in ("dg check defs", "dg list defs"):
        assert "local up" not in reader.run(command)
    needing = [
        "dg launch --assets raw_trips --partition 'green|2024-01'",
        "dg dev --port 0",
        (
            "dagster asset materialize -m taxi_platform.definitions --select raw_trips "
            "--partition 'green|2024-01'"
        ),
        "taxi-platform backfill --color green --from 2024-01 --to 2024-01",
        "taxi-platform query 'SELECT 1'",
        "taxi-platform query --store bigquery 'SELECT 1'",
        "taxi-platform doctor",
    ]
    reader.run("taxi-platform local up")
    (reader.folder / ".env").rename(reader.folder / "env")
    reader.run("taxi-platform local down")
    for state in ("never up", "down"):
        if state == "down":
            (reader.folder / "env").rename(reader.folder / ".env")
        for command in needing:
            done = subprocess.run(
                reader.shell(command),
                cwd=reader.folder,
                env=reader.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert done.returncode != 0, (state, command)
            assert "Traceback" not in done.stdout, done.stdout
            line = done.stdout.rstrip().splitlines()[-1]
            assert "taxi-platform local" in line, (state, command, done.stdout)
        for command in ("dg check defs", "dg list defs"):
            reader.run(command)
