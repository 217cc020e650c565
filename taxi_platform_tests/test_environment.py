"""One precedence of variables, in the platform's commands and in Dagster's."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from taxi_platform.environment import SECRETS
from taxi_platform.settings import Settings, variable_of
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.registry import STORES
from taxi_platform_tests.conftest import EmbeddedStack, inherited_environment

BIN = Path(sys.executable).parent

DEFINITIONS = """
from pathlib import Path
from dagster import Definitions, asset
from taxi_platform.settings import load_settings

BUCKET = load_settings().gcs.bucket

@asset
def probe() -> None:
    Path("buckets").write_text(load_settings().gcs.bucket)

defs = Definitions(assets=[probe])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "probe.py").write_text(DEFINITIONS)
    return tmp_path


def run(folder: Path, *command: str, **shell: str) -> subprocess.CompletedProcess[str]:
    environment = inherited_environment() | {"PYTHONPATH": str(folder), "COLUMNS": "400"}
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env=environment | shell,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "asset", "materialize", "-m", "probe", "--select", "*"),
        ("dagster", "definitions", "validate", "-m", "probe"),
    ],
)
def test_the_shell_wins_over_the_env_file_in_dagsters_commands(
    folder: Path, command: tuple[str, ...]
) -> None:
    (folder / ".env").write_text("TAXI_GCS_BUCKET=of-the-file\nTAXI_POSTGRES_PASSWORD=hunter2\n")
    (folder / "probe.py").write_text(f"{DEFINITIONS}\nassert BUCKET == 'of-the-shell', BUCKET\n")
    done = run(folder, *command, TAXI_GCS_BUCKET="of-the-shell")
    assert done.returncode == 0, done.stderr
    assert "of-the-file" not in done.stdout + done.stderr


@pytest.mark.slow
def test_without_a_variable_in_the_shell_the_env_file_is_read(folder: Path) -> None:
    (folder / ".env").write_text("TAXI_GCS_BUCKET=of-the-file\n")
    done = run(folder, "dagster", "asset", "materialize", "-m", "probe", "--select", "*")
    assert done.returncode == 0, done.stderr
    assert (folder / "buckets").read_text() == "of-the-file"


@pytest.mark.parametrize(
    ("content", "shell", "says"),
    [
        (b"TAXI_UI_URL=http://\xff\n", {}, ".env is not UTF-8 (byte 19): save it as UTF-8"),
        (b"TAXI_ENV=local\nTAXI_SMTP_PASSWORD='hunter2\n", {}, ".env: line 2 cannot be read"),
        (b"hunter2 is no variable\n", {}, ".env: line 1 cannot be read"),
        (b"", {"TAXI_POSTGRES_PASSWORD_FILE": "absent"}, "_FILE: absent: No such file"),
        (b"", {"TAXI_POSTGRES_PASSWORD_FILE": "empty"}, "empty has no secret in it"),
        (b"", {"TAXI_POSTGRES_PASSWORD_FILE": "."}, "_FILE: .: Is a directory"),
        (b"", {"TAXI_POSTGRES_PASSWORD_FILE": "binary"}, "binary is not UTF-8"),
        (b"", {"TAXI_POSTGRES_PASSWORD_FILE": "large"}, "large is too large for a secret"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(
    folder: Path, content: bytes, shell: dict[str, str], says: str
) -> None:
    (folder / ".env").write_bytes(content)
    (folder / "secret").write_text("hunter2")
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff")
    (folder / "large").write_bytes(b"x" * 100_000)
    done = run(folder, "taxi-platform", "rules", **shell)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert says in line
    assert "hunter2" not in line


@pytest.mark.slow
def test_dagsters_commands_refuse_a_malformed_env_file(folder: Path) -> None:
    (folder / ".env").write_text("TAXI_ENV=local\nTAXI_GCS_BUCKET='not closed\n")
    done = run(folder, "dagster", "asset", "materialize", "-m", "probe", "--select", "*")
    assert done.returncode != 0
    assert f"{folder}/.env: line 2 cannot be read" in done.stderr
    assert not (folder / "buckets").exists()


@pytest.mark.slow
def test_another_dagster_home_than_the_shells_is_refused(folder: Path) -> None:
    """Dagster has opened the one in the file before anything else is read."""
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").symlink_to(Path(__file__).parent.parent / "dagster.yaml")
    (folder / ".env").write_text(f"DAGSTER_HOME={home}\n")
    done = run(folder, "dagster", "run", "list", DAGSTER_HOME=str(folder))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: DAGSTER_HOME is {folder} in the shell and {home} in .env, which Dagster's "
        "commands prefer: unset it, or make them equal"
    )


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_the_file_that_its_variable_names(folder: Path, end: str) -> None:
    (folder / "secret").write_bytes(f"pass word{end}".encode())
    program = (
        "import os; from taxi_platform.settings import load_settings; "
        "print(load_settings().tables['postgres'].password.get_secret_value()); "
        "os.environ['TAXI_POSTGRES_PASSWORD'] = 'of .env'; "
        "print(load_settings().tables['postgres'].password.get_secret_value())"
    )
    others = {"TAXI_GOOGLE_KEY_FILE": "/a/path/on/another/host"}
    done = run(folder, "python", "-c", program, TAXI_POSTGRES_PASSWORD_FILE="secret", **others)
    assert done.stdout.splitlines() == ["pass word", "pass word"], done.stderr


def test_every_secret_of_the_settings_may_be_in_a_file() -> None:
    parts: list[type[BaseSettings]] = [
        Settings,
        GCSSettings,
        *(store.settings for store in STORES.values()),
    ]
    secret = {
        variable_of(part, name)
        for part in parts
        for name, field in part.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert {"TAXI_POSTGRES_PASSWORD", "TAXI_SMTP_PASSWORD"} < secret
    assert all(variable.endswith(SECRETS) for variable in secret)


@pytest.mark.integration
def test_the_server_is_that_of_the_settings_whatever_libpq_is_told(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    """For the platform's commands, its stores, and Dagster's storage."""
    environment = stack.environ(PGHOSTADDR="192.0.2.1", TAXI_DATA_DIR=str(tmp_path))
    program = (
        "from dagster import DagsterInstance\n"
        "from taxi_platform.settings import load_settings\n"
        "print(len(DagsterInstance.get().get_runs(limit=1)))\n"
        "with load_settings().open_store('postgres') as store:\n"
        "    print(store.existing_tables(['nothing']))\n"
    )
    for command in (
        [sys.executable, "-c", program],
        [str(BIN / "taxi-platform"), "query", "--store", "postgres", "SELECT 1"],
    ):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
