"""A real PgBouncer in front of a Postgres, for as long as a test needs it."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform_tests.conftest import free_port, stop_process

CONFIGURATION = """
[databases]
{database} = host={host} port={server_port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 3
server_round_robin = 1
"""


@contextmanager
def pooled(server: PostgresServer, mode: str = "transaction") -> Iterator[PostgresServer]:
    """The server through PgBouncer; in transaction mode, each transaction in another session."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer: apt-get install pgbouncer")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        behind = replace(server, port=free_port())
        (folder / "users").write_text(f'"{server.user}" "{server.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(
                mode=mode,
                database=server.database,
                host=server.host,
                server_port=server.port,
                port=behind.port,
                folder=folder,
            )
        )
        process = subprocess.Popen(
            [program, *_account(folder), str(folder / "pgbouncer.ini")],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(behind)
            yield behind
        finally:
            stop_process(process)


def _account(folder: Path) -> list[str]:
    """It does not run as root."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam("postgres")
    for path in folder.iterdir():
        os.chown(path, account.pw_uid, account.pw_gid)
    return ["-u", account.pw_name]


def _wait_for(server: PostgresServer) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(server.conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.1)
        else:
            return
