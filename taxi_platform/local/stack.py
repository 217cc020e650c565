"""The embedded stack of one project: all servers of the platform, without a cloud account.

Belongs here: the order in which things come up and go down, and what clients have to know about
them. How a server works lies in its own module, how processes do in `processes`.
"""

import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from taxi_platform.local import dagster_home, env_file, processes
from taxi_platform.local.bigquery_server import EmbeddedBigQuery
from taxi_platform.local.client_environment import (
    BROKER,
    BUCKET,
    PROJECT,
    VARIABLES,
    client_environment,
)
from taxi_platform.local.errors import LocalStackError, require_local_extra
from taxi_platform.local.gcs_server import EmbeddedGCS
from taxi_platform.local.postgres_server import DAGSTER_DATABASE, ROLE, EmbeddedPostgres
from taxi_platform.local.redis_server import EmbeddedRedis
from taxi_platform.local.server import Report, Server, answers_before, start
from taxi_platform.local.state import ServerRecord, StackState, StateFile

_LOCK_SECONDS = 180.0
_BUSY_SECONDS = 5.0


@dataclass(frozen=True)
class ServerStatus:
    """The status of one server.

    Attributes:
        name: `gcs`, `postgres`, `bigquery`, or `redis` if there are workers.
        state: `unhealthy` is a server whose process runs and does not answer.
        address: Its current or last address; None if it never ran.
        pid: Its process, if it runs.
        log: Its log file.
        data_bytes: The size of its data files.
    """

    name: str
    state: Literal["running", "stopped", "unhealthy"]
    address: str | None
    pid: int | None
    log: Path
    data_bytes: int


@dataclass(frozen=True)
class _Servers:
    """The servers, in the order in which they start; Redis for workers only."""

    gcs: EmbeddedGCS
    postgres: EmbeddedPostgres
    bigquery: EmbeddedBigQuery
    redis: EmbeddedRedis | None

    def __iter__(self) -> Iterator[Server]:
        always: tuple[Server, ...] = (self.gcs, self.postgres, self.bigquery)
        return iter(always if self.redis is None else (*always, self.redis))


@dataclass
class _Startup:
    """One call of `up`: its state, and the servers that it has started."""

    state: StackState
    report: Report
    started: dict[str, ServerRecord] = field(default_factory=dict)


class LocalStack:
    """The GCS server, the BigQuery emulator and the Postgres server of one project.

    All its data lie in the project's `.taxi` folder. The servers run on loopback as processes of
    the caller's and go on running until `down`, also when the calling process ends.

    Args:
        project_dir: The folder with the project's `dagster.yaml`.
    """

    def __init__(self, project_dir: Path) -> None:
        self.project_dir = project_dir.resolve()
        self.folder = (self.project_dir / ".taxi").resolve()
        self._state_file = StateFile(self.folder)
        self._env_path = self.project_dir / ".env"

    def up(self, report: Report = lambda _: None, *, workers: bool = False) -> None:
        """Starts the servers that are not running, and writes `.env`.

        Args:
            report: Called with a line of text for each thing worth knowing.
            workers: Whether runs are executed by workers, to which Redis gives them.

        Raises:
            LocalStackError: A server does not start. Servers that this call started are stopped.
        """
        require_local_extra()
        dagster_home.configuration_of(self.project_dir)
        self._make_folder()
        if os.geteuid() == 0:
            report(
                "You are root, so the GCS and BigQuery servers run as root and answer root only. "
                "If you can, run this as an ordinary user."
            )
        with self._locked(report):
            startup = _Startup(self._state_file.load(report), report)
            self._choose_workers(startup.state, report, workers=workers)
            servers = self._servers(startup.state)
            try:
                self._start_all(servers, startup)
            except BaseException:
                self._undo(servers, startup)
                raise

    def down(self, report: Report = lambda _: None) -> None:
        """Stops the servers that `up` started, and removes the block from `.env`.

        Raises:
            LocalStackError: A server belongs to another user or cannot be stopped.
        """
        if not self.folder.is_dir():
            env_file.remove_block(self._env_path, (*VARIABLES, BROKER))
            report("Nothing was running.")
            return
        with self._locked(report):
            self._stop_all(report)

    def status(self) -> list[ServerStatus]:
        """The status of each server."""
        state = self._state_file.load()
        return [self._status_of(server, state) for server in self._servers(state)]

    def reset(self, report: Report = lambda _: None) -> None:
        """Stops the servers and deletes all their data, Dagster's home and the data folder.

        A symlink that the user put in place of a folder is removed, and what it points to kept.
        """
        if not self.folder.is_dir():
            self.down(report)
            return
        link = self.project_dir / ".taxi"
        with self._locked(report):
            self._stop_all(report)
            if link.is_symlink():
                _delete(link, report)
                return
            state = self._state_file.load()
            self._servers(state).postgres.delete_data()
            servers = (self._gcs_dir, self._bigquery_dir, self._redis_dir)
            for path in (*servers, self._dagster_home, self._data_dir):
                _delete(path, report)
            for left in self.folder.glob(".stack.json.*"):  # of commands that were killed
                left.unlink()
            state.passwords.clear()
            self._state_file.save(state)
            report(f"Deleted the data in {self.folder}.")

    def _choose_workers(self, state: StackState, report: Report, *, workers: bool) -> None:
        """Notes whether there is a Redis; stops one that is not wanted any more."""
        if workers:
            state.passwords.setdefault(EmbeddedRedis.name, secrets.token_hex(16))
        elif redis := self._servers(state).redis:
            self._clear_away(redis, state, report)
            del state.passwords[redis.name]
        self._state_file.save(state)

    def environment(self) -> dict[str, str]:
        """The environment variables for clients of the running stack.

        Raises:
            LocalStackError: The stack is not up.
        """
        return self._environment(self._state_file.load())

    def _environment(self, state: StackState) -> dict[str, str]:
        try:
            ports = {name: record.port for name, record in state.servers.items()}
            found = client_environment(
                ports, state.passwords[ROLE], self._data_dir, self._dagster_home
            )
            redis = self._servers(state).redis
            return found if redis is None else found | {BROKER: redis.broker(ports[redis.name])}
        except KeyError as error:
            raise LocalStackError("The stack is not up. Run `taxi-platform local up`.") from error

    @property
    def _gcs_dir(self) -> Path:
        return self.folder / "gcs"

    @property
    def _bigquery_dir(self) -> Path:
        return self.folder / "bigquery"

    @property
    def _redis_dir(self) -> Path:
        return self.folder / "redis"

    @property
    def _dagster_home(self) -> Path:
        return self.folder / "dagster"

    @property
    def _data_dir(self) -> Path:
        return self.folder / "data"

    def _log_of(self, server: Server) -> Path:
        return self.folder / "logs" / f"{server.name}.log"

    def _make_folder(self) -> None:
        # Root's Postgres runs as another account, which must traverse the folder, not list it.
        _make_private(self.folder, 0o711 if os.geteuid() == 0 else 0o700)
        logs = self.folder / "logs"
        folders = (logs, self._data_dir, self._gcs_dir, self._bigquery_dir, self._dagster_home)
        for path in folders:
            _make_private(path)
        for log in logs.glob("*.log*"):
            if not log.is_symlink():
                log.chmod(0o600)

    @contextmanager
    def _locked(self, report: Report) -> Iterator[None]:
        """Locks the folder, so that two commands do not run at once."""
        lock = FileLock(self.folder / "stack.lock", mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report("Waiting for another `taxi-platform local` command on this folder.")
            try:
                lock.acquire(timeout=_LOCK_SECONDS)
            except Timeout as error:
                raise LocalStackError(
                    f"Another `taxi-platform local` command has locked {lock.lock_file}."
                ) from error
        try:
            yield
        finally:
            lock.release()

    def _servers(self, state: StackState) -> _Servers:
        def remember() -> None:
            self._state_file.save(state)

        def gcs_url() -> str:
            return gcs.address(state.ports.get(gcs.name, 0))

        gcs = EmbeddedGCS(self._gcs_dir)
        postgres = EmbeddedPostgres(self.folder, state.passwords, remember)
        password = state.passwords.get(EmbeddedRedis.name)
        redis = EmbeddedRedis(self._redis_dir, password) if password else None
        return _Servers(gcs, postgres, EmbeddedBigQuery(self._bigquery_dir, gcs_url), redis)

    def _start_all(self, servers: _Servers, startup: _Startup) -> None:
        gcs = self._ensure(servers.gcs, startup)
        servers.gcs.ensure_bucket(gcs.port, BUCKET, PROJECT)
        postgres = self._ensure(servers.postgres, startup)
        servers.postgres.ensure_databases(postgres.port)
        self._ensure(servers.bigquery, startup)
        if servers.redis:
            self._ensure(servers.redis, startup)
        variables = self._environment(startup.state)
        dagster_home.prepare_dagster_home(self._dagster_home, self.project_dir)
        tables = dagster_home.TABLES
        if not servers.postgres.has_tables(postgres.port, DAGSTER_DATABASE, tables):
            startup.report("Making Dagster's tables.")
            dagster_home.make_dagster_tables(variables, self.project_dir)
        self._write_env(variables, startup.report)

    def _ensure(self, server: Server, startup: _Startup) -> ServerRecord:
        """Starts a server unless it is healthy."""
        state, report = startup.state, startup.report
        known = state.servers.get(server.name)
        if (
            known is not None
            and known.arguments == server.arguments(known.port)
            and answers_before(server, known, time.monotonic() + _BUSY_SECONDS)
        ):
            report(f"{server.title}: runs already at {server.address(known.port)}")
            return known
        if self._clear_away(server, state, report):
            report(f"{server.title}: stopped, to restart it")

        def record(new: ServerRecord) -> None:
            startup.started[server.name] = state.servers[server.name] = new
            state.ports[server.name] = new.port
            self._state_file.save(state)

        new = start(
            server,
            log=self._log_of(server),
            preferred_port=state.ports.get(server.name),
            record=record,
            report=report,
        )
        report(f"{server.title}: started at {server.address(new.port)}")
        return new

    def _clear_away(self, server: Server, state: StackState, report: Report) -> bool:
        """Stops what runs of a server; says whether anything did.

        That is the recorded process, and any left by a call whose record was lost: such a one
        is recognised by the data folder on its command line.
        """
        known = state.servers.pop(server.name, None)
        ran = known is not None and server.stop(known.process)
        if known is not None and not ran:
            pid = known.process.pid
            report(f"{server.title}: the recorded process {pid} has ended.")
        for left in processes.with_arguments(*server.distinctive_arguments()):
            report(f"{server.title}: stopping process {left.pid}, of which there was no record.")
            ran = server.stop(left) or ran
        self._state_file.save(state)
        return ran

    def _undo(self, servers: _Servers, startup: _Startup) -> None:
        for server in reversed(list(servers)):
            record = startup.started.get(server.name)
            if record is not None:
                with suppress(LocalStackError):  # the error on its way says more
                    server.stop(record.process)
                startup.state.servers.pop(server.name, None)
        self._state_file.save(startup.state)

    def _stop_all(self, report: Report) -> None:
        state = self._state_file.load(report)
        ran = False
        for server in reversed(list(self._servers(state))):
            if self._clear_away(server, state, report):
                report(f"{server.title}: stopped")
                ran = True
        env_file.remove_block(self._env_path, (*VARIABLES, BROKER))
        if not ran:
            report("Nothing was running.")

    def _status_of(self, server: Server, state: StackState) -> ServerStatus:
        known = state.servers.get(server.name)
        process = processes.find(known.process) if known else None
        port = state.ports.get(server.name)
        health: Literal["running", "stopped", "unhealthy"] = "stopped"
        if known is not None and process is not None:
            health = "running" if server.is_healthy(known) else "unhealthy"
        return ServerStatus(
            name=server.name,
            state=health,
            address=server.address(port) if port else None,
            pid=process.pid if process else None,
            log=self._log_of(server),
            data_bytes=_size_of(server.data_directory),
        )

    def _write_env(self, variables: dict[str, str], report: Report) -> None:
        written = env_file.write_block(self._env_path, variables)
        if written.earlier_mode is not None:
            report(
                f"{self._env_path} could be read by others (mode {written.earlier_mode:o}). It "
                "contains a password now, so its owner alone can read it (mode 600)."
            )
        for name in written.set_elsewhere:
            report(f"Warning: other lines of {self._env_path} set {name} too.")
        for name, value in variables.items():
            if os.environ.get(name, value) != value:
                report(
                    f"Warning: {name} has another value in this shell, which takes precedence "
                    "over .env."
                )


def _make_private(folder: Path, mode: int = 0o700) -> None:
    """Makes a folder for its owner alone; one that the user linked elsewhere stays as it is."""
    try:
        folder.mkdir(mode=mode, exist_ok=True)
        if not folder.is_symlink() and stat.S_IMODE(folder.stat().st_mode) != mode:
            folder.chmod(mode)
    except PermissionError as error:
        raise LocalStackError(
            f"{error.filename} belongs to another user. Run this as that user, or remove the "
            "folder if nobody needs its data."
        ) from error


def _delete(path: Path, report: Callable[[str], None]) -> None:
    if path.is_symlink():
        report(f"{path} is a symlink: removed, what it points to is kept.")
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _size_of(directory: Path) -> int:
    size = 0
    for root, _, files in os.walk(directory):
        for name in files:
            with suppress(OSError):  # servers delete files while one counts
                size += Path(root, name).lstat().st_size
    return size
