"""Another version of PostgreSQL than the embedded one: Debian's, for as long as a test needs it."""

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform_tests.conftest import free_port, stop_process

PASSWORD = "of a test"


@contextmanager
def debian_postgres(version: int) -> Iterator[PostgresServer]:
    """A new cluster, and its superuser."""
    programs = Path(f"/usr/lib/postgresql/{version}/bin")
    if not programs.is_dir():
        pytest.skip(f"no PostgreSQL {version}: apt-get install postgresql-{version}")
    # It does not run as root.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    user = account.pw_name if account else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        data = folder / "data"
        subprocess.run(
            [
                *(programs / "initdb", "-D", data, "-U", "tester", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", folder / "password"),
            ],
            user=user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server = PostgresServer("127.0.0.1", free_port(), "tester", PASSWORD, "postgres")
        process = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-p", str(server.port)),
                *("-k", folder, "-h", "127.0.0.1", "-F"),
            ],
            user=user,
            cwd=folder,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(server)
            yield server
        finally:
            stop_process(process)


def _wait_for(server: PostgresServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(server.conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.1)
        else:
            return
