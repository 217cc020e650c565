"""Another version of PostgreSQL than the embedded one: Debian's, for as long as a test needs it."""

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform_tests.conftest import free_port, stop_process
from taxi_platform_tests.faults.hosts import NETWORK, Host

PASSWORD = "of a test"


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        server: its superuser, over TCP.
        local: the same through a Unix socket, which reaches it also on another host.
    """

    server: PostgresServer
    local: PostgresServer


@contextmanager
def debian_postgres(version: int, host: Host | None = None) -> Iterator[Cluster]:
    """A new cluster.

    Args:
        version: of the server.
        host: where it runs; by default on loopback.
    """
    programs = Path(f"/usr/lib/postgresql/{version}/bin")
    if not programs.is_dir():
        pytest.skip(f"no PostgreSQL {version}: apt-get install postgresql-{version}")
    # It does not run as root.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups") if account else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        data = folder / "data"
        subprocess.run(
            [
                *(*user, programs / "initdb", "-D", data, "-U", "tester", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", folder / "password"),
            ],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {NETWORK} scram-sha-256\n")
        address = host.address if host else "127.0.0.1"
        server = PostgresServer(address, free_port(), "tester", PASSWORD, "postgres")
        local = replace(server, host=str(folder))
        process = subprocess.Popen(
            [
                *(*(host.prefix if host else ()), *user),
                *(programs / "postgres", "-D", data, "-p", str(server.port)),
                *("-k", folder, "-h", address, "-F"),
            ],
            cwd=folder,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(local)
            yield Cluster(server, local)
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
