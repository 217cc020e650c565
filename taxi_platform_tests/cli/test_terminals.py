"""What every command shows: on terminals of three widths, without colors, in a pipe, to anyone."""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from taxi_platform.cli.demo_result import Contents, DemoResult, print_results, print_verdict
from taxi_platform.cli.main import app
from taxi_platform.cli.terminal import print_folded
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, inherited_environment

WIDTHS = [80, 120, 200]
ESCAPE = "\x1b"
DEBIANS_PYTHON = Path("/usr/bin/python3")
NOBODY = 65534

COMMANDS = {
    "status": ["status"],
    "status of a color": ["status", "--color", "green"],
    "query": [
        *("query", "--format", "table", "SELECT 'credit card' AS payment, 41237 AS trips"),
    ],
    "query of a table that is not there": ["query", "SELECT * FROM green_trips"],
    "doctor": ["doctor"],
    "backfill of a month that is none": [
        *("backfill", "--color", "green", "--from", "2024-1", "--to", "2024-02"),
    ],
    "backfill": [
        *("backfill", "--color", "green", "--from", "2024-01", "--to", "2024-02", "--detach"),
    ],
    "rejects": ["rejects", "green|2024-01"],
    "report": ["report"],
    "local status": ["local", "status", "--project-dir", "{stack}"],
}
ENDS = {
    "query of a table that is not there": 1,
    "backfill of a month that is none": 1,
    "rejects": 1,
    "report": 1,
}
SAYS = {
    "status": "Load what is not loaded with:",
    "status of a color": "green 2024",
    "query": "credit card",
    "query of a table that is not there": "such as trips.green_trips",
    "doctor": "ok Postgres: ",
    "backfill of a month that is none": "give a month such as 2024-01",
    "backfill": "start everything with `make dev`",
    "rejects": "with: taxi-platform backfill --color green --from 2024-01 --to 2024-01",
    "report": "Error: ",
    "local status": "running",
}


def fits(shown: str, width: int) -> bool:
    """Whether no line is longer than a width, but for one word that cannot be broken."""
    return all(cell_len(line) <= width or " " not in line.strip() for line in shown.splitlines())


def words(shown: str) -> list[str]:
    """What is said, however it is folded."""
    return shown.replace(" \\\n", " ").split()


@pytest.fixture(scope="module")
def place(stack: EmbeddedStack) -> dict[str, str]:
    """The variables of an installation in which nothing is loaded yet."""
    name = "terminals"
    home = stack.folder / name
    home.mkdir()
    (home / "dagster.yaml").touch()
    variables = {
        **stack.environment,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(home / "data"),
        "TAXI_POSTGRES_SCHEMA": name,
        "TAXI_BIGQUERY_DATASET": name,
        "TAXI_GCS_BUCKET": name,
        "TAXI_SOURCE_URL": f"file://{home}/{{color}}_{{month}}.parquet",
    }
    storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": variables["STORAGE_EMULATOR_HOST"]},
    ).create_bucket(name)
    return variables


# Of Dagster's own, when a backfill is requested.
pytestmark = pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`")


def shown_by(place: dict[str, str], command: str, **more: str) -> tuple[int, str]:
    """Runs a command within this process; its exit code and all that it writes."""
    stack = str(Path(place["DAGSTER_HOME"]).parent)
    arguments = [argument.replace("{stack}", stack) for argument in COMMANDS[command]]
    run = CliRunner().invoke(app, arguments, env=place | more)
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    return run.exit_code, run.output


@pytest.mark.integration
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut_or_too_long_on_terminals_of_every_width(
    command: str, place: dict[str, str]
) -> None:
    shown = {}
    for width in WIDTHS:
        # FORCE_COLOR is how rich is told that a file is a terminal.
        terminal = {"COLUMNS": str(width), "FORCE_COLOR": "1", "NO_COLOR": "1"}
        code, said = shown_by(place, command, **terminal)
        shown[width] = words(said)
        assert code == ENDS.get(command, 0), said
        assert SAYS[command] in " ".join(shown[width])
        assert ESCAPE not in said
        assert "…" not in said
        assert fits(said, width), said
    if command not in ("backfill", "doctor"):  # an id of each, and the free space
        assert shown[80] == shown[120] == shown[200]


@pytest.mark.integration
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_terminal_gets_whole_lines_without_escapes(
    command: str, place: dict[str, str]
) -> None:
    code, said = shown_by(place, command, COLUMNS="40")
    assert code == ENDS.get(command, 0), said
    assert ESCAPE not in said
    if command != "query":  # whose table has its own width
        assert SAYS[command] in re.sub(" +", " ", said)


def result(key: str) -> DemoResult:
    kept = Contents(1_234_567, Decimal("12345678.90"))
    seconds = {"raw_trips": 1.0, "postgres_marts": 22.5, "checks": 3.0}
    stores = {"BigQuery": kept, "Postgres": kept}
    return DemoResult(
        TripMonth.from_key(key), 1_234_570, {"zero_passengers": 3}, kept, stores, seconds
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_last_lines_of_the_demo_fit_and_can_be_copied(width: int) -> None:
    said = io.StringIO()
    terminal = Console(file=said, width=width, force_terminal=True, color_system=None)
    results = [result("green|2024-01"), result("yellow|2021-01")]
    print_results(terminal, results)
    assert print_verdict(terminal, results, PROJECT / ".taxi" / "data" / "trips.html")
    shown = said.getvalue()
    assert fits(shown, width), shown
    assert "…" not in shown
    assert " ".join(words(shown)).endswith("BigQuery 2469134, Postgres 2469134")
    # A shell takes what is folded, since it is folded within quotes.
    commands = re.findall(r"^  \S+ query --store (\w+) '([^']+)'$", shown, re.MULTILINE)
    assert [store for store, _ in commands] == ["bigquery", "postgres"]
    assert all("ORDER BY" in " ".join(sql.split()) for _, sql in commands)


@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_a_command_in_a_message_can_be_copied_however_it_is_folded(width: int) -> None:
    command = "taxi-platform backfill --color green --from 2024-02 --to 2024-02 --missing-only"
    said = io.StringIO()
    terminal = Console(file=said, width=width, force_terminal=True, color_system=None)
    print_folded(terminal, f"green|2024-02: it failed, whatever was tried; then: {command}; or not")
    shown = said.getvalue()
    assert fits(shown, width)
    start = shown.index("taxi-platform")
    typed = shown[start : shown.index("; or")].replace("\\\n", "")
    assert "\n" not in typed
    assert typed.split() == command.split()


@pytest.fixture
def plain_folder() -> Iterator[Path]:
    """A project's folder of a plain user, with a `.venv` of Debian's Python.

    It takes the packages from the environment of the tests.
    """
    about = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    ours = "{} {}".format(*sys.version_info[:2])
    debians = subprocess.run(
        [DEBIANS_PYTHON, "-c", about], capture_output=True, text=True, check=False
    )
    if debians.stdout.strip() != ours or not Path("/etc/debian_version").exists():
        pytest.skip(f"no Python of Debian's that is {ours} and has venv, whose packages are here")
    # pytest's own folders let nobody through.
    with tempfile.TemporaryDirectory(prefix="taxi-plain-", dir="/var/tmp") as name:
        folder = Path(name)
        for file in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(PROJECT / file, folder)
        subprocess.run(
            [DEBIANS_PYTHON, "-m", "venv", "--without-pip", folder / ".venv"], check=True
        )
        packages = sysconfig.get_path("purelib")
        site = next(folder.glob(".venv/lib/python*/site-packages"))
        (site / "tests.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield folder


@pytest.mark.integration
def test_a_plain_user_with_debians_python_starts_looks_and_asks(plain_folder: Path) -> None:
    user = f"--reuid={NOBODY} --regid={NOBODY} --clear-groups --".split()
    start = ["setpriv", *user] if os.geteuid() == 0 else []
    environment = inherited_environment() | {
        "NO_COLOR": "1",
        "HOME": str(plain_folder),
        "TAXI_SOURCE_URL": "synthetic",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*start, plain_folder / ".venv/bin/python", "-m", "taxi_platform.cli.main", *arguments],
            cwd=plain_folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "No module named" in done.stderr:
            pytest.skip(f"a plain user cannot read {sysconfig.get_path('purelib')}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ESCAPE not in done.stdout + done.stderr
        return done.stdout

    try:
        up = run("local", "up")
        assert "You are root" not in up
        owner = Path(re.findall(r"pid (\d+)", run("local", "status"))[0])
        assert Path("/proc", owner).stat().st_uid == (NOBODY if start else os.geteuid())
        assert "ok    BigQuery: " in run("doctor")
        assert "green  2024  -" in run("status")
        assert run("query", "SELECT 41237 AS trips") == "trips\n41237\n"
    finally:
        run("local", "reset", "--yes")
