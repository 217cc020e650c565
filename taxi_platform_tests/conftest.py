"""Fixtures that several folders of tests share.

Servers are real: one embedded stack for the whole session, started on free ports of the loopback
in a folder of its own, and stopped by the process ids that it started.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from taxi_platform.environment import accept_changes
from taxi_platform.local.postgres_server import ADMIN
from taxi_platform.local.state import StateFile
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform_tests.months import (
    green_parquet,
    landing,
    publisher,
    yellow_csv,
    yellow_csv_gz,
)

# A transient fault that does not end is tried twice, at once, and found out.
os.environ.setdefault("TAXI_RETRIES", "1")
os.environ.setdefault("TAXI_RETRY_SECONDS", "0.05")
accept_changes()

__all__ = ["green_parquet", "landing", "publisher", "yellow_csv", "yellow_csv_gz"]

PROJECT = Path(__file__).resolve().parent.parent


def pytest_sessionstart() -> None:
    """Sees to it that the tests and all that they start can be interrupted.

    What a shell starts in the background ignores SIGINT, and so does what that starts in turn; but
    programs started by one that handles it do not.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupts() -> None:
    """For a process that a test starts as the background of a shell does (``preexec_fn``)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The TLC's own files; tests that need them say that they skipped where they are not."""
    folder = Path(os.environ.get("TAXI_REAL_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "tlc_months").is_dir():
        pytest.skip(f"no TLC files in {folder}: set TAXI_REAL_DATA to where they are")
    return folder


def inherited_environment() -> dict[str, str]:
    """The environment of a program that a user starts, without the tests' own settings.

    Nor with what `make test` exports: a make below another prints more. Nor unbuffered, where
    developers have that set: a line that is not flushed is not seen elsewhere.
    """
    ours = ("TAXI_", "DAGSTER_", "STORAGE_", "BIGQUERY_", "GOOGLE_", "MAKE", "MFLAGS")
    not_inherited = (*ours, "PYTHONUNBUFFERED")
    return {k: v for k, v in os.environ.items() if not k.startswith(not_inherited)}


class EmbeddedStack:
    """A running embedded stack, and how programs are started that use it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    @contextmanager
    def administrator(self) -> Iterator[psycopg.Connection]:
        """A connection of the superuser to the stack's Postgres."""
        passwords = StateFile((self.folder / ".taxi").resolve()).load().passwords
        with psycopg.connect(
            self.postgres().conninfo,
            user=ADMIN,
            password=passwords[ADMIN],
            dbname="postgres",
            autocommit=True,
        ) as connection:
            yield connection

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a program that uses the stack, with more variables."""
        return inherited_environment() | self.environment | more

    def postgres(self) -> PostgresServer:
        """The stack's Postgres, as the stores take it."""
        e = self.environment
        return PostgresServer(
            e["TAXI_POSTGRES_HOST"],
            int(e["TAXI_POSTGRES_PORT"]),
            e["TAXI_POSTGRES_USER"],
            e["TAXI_POSTGRES_PASSWORD"],
            e["TAXI_POSTGRES_DATABASE"],
        )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """The embedded stack, in a folder of its own; stopped when the session ends."""
    from taxi_platform.local.stack import LocalStack

    folder = tmp_path_factory.mktemp("stack")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    embedded = LocalStack(folder)
    try:
        embedded.up()
        yield EmbeddedStack(folder, embedded.environment())
    finally:
        embedded.reset()


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop_process(process: subprocess.Popen[Any]) -> None:
    """Ends a process that was started in a session of its own, and all that it started."""
    family = [process.pid, *(p.pid for p in psutil.Process(process.pid).children(recursive=True))]
    process.terminate()
    try:
        process.wait(30)
    finally:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
