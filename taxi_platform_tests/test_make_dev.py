"""`make dev` takes all that it started along when it ends, by a terminal's Ctrl-C or by SIGTERM.

The recipe is the real one; what it starts are scripts that only wait.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from taxi_platform_tests.automation.unattended import wait_until
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.reader import is_running

WAITS = f"""#!{sys.executable}
import pathlib, sys, time, os
if sys.argv[1] != "local":
    pathlib.Path(sys.argv[0]).with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout whose programs only wait, and say that they do."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "packages", "deploy"):
        (tmp_path / name).symlink_to(PROJECT / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    for name in ("dg", "taxi-platform"):
        (programs / name).write_text(WAITS)
        (programs / name).chmod(0o755)
    (tmp_path / ".venv" / ".ready").write_text(str(tmp_path))
    return tmp_path


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [(), ("WORKERS=2",)])
def test_whatever_it_started_ends_with_it(
    folder: Path, by: signal.Signals, workers: tuple[str, ...]
) -> None:
    names = ("dg", "taxi-platform") if workers else ("dg",)
    started = [folder / f".venv/bin/{name}.pid" for name in names]
    make = subprocess.Popen(["make", "dev", *workers], cwd=folder, start_new_session=True)
    try:
        wait_until(lambda: all(path.exists() and path.read_text() for path in started), 20, 0.1)
        processes = [psutil.Process(int(path.read_text())) for path in started]
        if by is signal.SIGINT:
            os.killpg(make.pid, by)
        else:
            make.terminate()
        assert make.wait(20) != 0
        wait_until(lambda: not any(map(is_running, processes)), 10, 0.1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(make.pid, signal.SIGKILL)
