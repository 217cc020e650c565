"""The embedded stack with its real servers: up, down, reset, and what clients find there."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest
import redis
from dotenv import dotenv_values
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from typer.testing import CliRunner

from taxi_platform.cli.local import NOT_ALL_RUNNING, local_app
from taxi_platform.local import (
    dagster_home,
)
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.stack import LocalStack
from taxi_platform_tests.local.stack.stacks import (
    DAGSTER_YAML,
    NAMES,
    connect,
    make_project,
    pids,
    states,
)

pytestmark = pytest.mark.integration


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


def test_the_servers_outlive_the_process_that_started_them(folder: Path) -> None:
    project = make_project(folder / "project")
    code = "from pathlib import Path; from taxi_platform.local.stack import LocalStack; "
    code += "LocalStack(Path()).up(print)"
    python_path = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]
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


def test_the_servers_without_a_password_answer_their_owner_only(stack: LocalStack) -> None:
    stack.up()
    environment = stack.environment()
    for variable, path in (
        ("STORAGE_EMULATOR_HOST", "/storage/v1/b"),
        ("BIGQUERY_EMULATOR_HOST", "/bigquery/v2/projects/taxi-local/datasets"),
    ):
        url = environment[variable] + path
        assert httpx.get(url).status_code == 200
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            refused = httpx.get(url, headers=headers)
            assert refused.status_code == 403
            assert "evil.example" in refused.json()["error"]["message"]
        if os.geteuid() == 0:
            said = as_nobody("/usr/bin/curl", "--silent", url)
            assert said is None or json.loads(said)["error"]["code"] == 403


def as_nobody(*command: str) -> str | None:
    """What a program says that runs as another user; None if there is no such program."""
    try:
        done = subprocess.run(
            command, user=65534, cwd="/", env={}, stdout=subprocess.PIPE, text=True, check=True
        )
    except FileNotFoundError:
        return None
    return done.stdout


def test_reset_of_a_linked_folder_removes_the_link_and_nothing_else(
    stack: LocalStack, folder: Path
) -> None:
    disk = folder / "disk"
    disk.mkdir()
    (stack.project_dir / ".taxi").symlink_to(disk)
    linked = LocalStack(stack.project_dir)
    linked.up()
    (disk / "data" / "precious").touch()
    before = {path.name for path in disk.iterdir()}
    lines: list[str] = []

    linked.reset(lines.append)

    assert states(linked) == ["stopped"] * 3
    assert not (stack.project_dir / ".taxi").is_symlink()
    assert (disk / "data" / "precious").exists()
    assert {path.name for path in disk.iterdir()} == before
    assert any("is a symlink: removed, what it points to is kept" in line for line in lines)


def test_what_is_there_already_is_closed_to_others_and_that_is_said(
    stack: LocalStack, project: Path, folder: Path
) -> None:
    logs, elsewhere = stack.folder / "logs", folder / "elsewhere"
    elsewhere.mkdir()
    logs.mkdir(parents=True)
    (stack.folder / "gcs").mkdir()
    (stack.folder / "data").symlink_to(elsewhere)
    (logs / "gcs.log").write_text("")
    (project / ".env").write_text("MINE=1\n")
    for path in (stack.folder, logs, stack.folder / "gcs", elsewhere):
        path.chmod(0o755)
    for path in (logs / "gcs.log", project / ".env"):
        path.chmod(0o644)
    lines: list[str] = []

    stack.up(lines.append)

    own = 0o711 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE(stack.folder.stat().st_mode) == own
    for path in (logs, stack.folder / "gcs", stack.folder / "bigquery", stack.folder / "dagster"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for path in (*logs.iterdir(), project / ".env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert any("could be read by others (mode 644)" in line for line in lines)


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


def test_redis_is_there_for_workers_only_and_answers_its_password_only(
    stack: LocalStack, project: Path
) -> None:
    stack.up(workers=True)
    environment = stack.environment()
    assert dotenv_values(project / ".env") == environment
    broker = environment["TAXI_CELERY_BROKER"]
    with redis.Redis.from_url(broker) as client:
        assert client.ping()
    without = broker.partition("@")[2]
    with (
        redis.Redis.from_url(f"redis://{without}") as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    running = pids(stack)
    assert set(running) == {*NAMES, "redis"}
    arguments = psutil.Process(running["redis"]).cmdline()
    assert not any(str(urlsplit(broker).password) in argument for argument in arguments)

    stack.up(workers=True)
    assert pids(stack) == running
    stack.up()
    assert pids(stack) == {name: running[name] for name in NAMES}
    assert "TAXI_CELERY_BROKER" not in dotenv_values(project / ".env")
    assert not psutil.pid_exists(int(str(running["redis"])))
