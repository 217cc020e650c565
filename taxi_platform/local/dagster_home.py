"""Dagster's home folder in the stack, and its tables in the stack's Postgres."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from taxi_platform.local.errors import LocalStackError

# One table of each of Dagster's three storages, and the one that only a whole set-up leaves.
TABLES = ("runs", "event_logs", "job_ticks", "instance_info", "alembic_version")
_SECONDS = 120
_MAKE_TABLES = """
from dagster import DagsterInstance

with DagsterInstance.get() as instance:
    # Each of the three storages makes its own when it is first asked something.
    instance.get_runs_count(), instance.get_asset_keys(limit=1), instance.all_instigator_state()
"""


def configuration_of(project: Path) -> Path:
    """The project's `dagster.yaml`.

    Raises:
        LocalStackError: There is none.
    """
    path = project / "dagster.yaml"
    if not path.is_file():
        raise LocalStackError(
            f"{project} has no dagster.yaml. Run this in the project's folder, or name it with "
            "--project-dir."
        )
    return path


def prepare_dagster_home(home: Path, project: Path) -> None:
    """Makes the folder DAGSTER_HOME names, with the project's configuration in it."""
    source = configuration_of(project)
    home.mkdir(mode=0o700, exist_ok=True)
    target = home / source.name
    relative = os.path.relpath(source, home)
    if target.is_symlink() and str(target.readlink()) == relative:
        return
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(relative)
    except OSError:  # a file system without symlinks
        shutil.copyfile(source, target)


def make_dagster_tables(environment: Mapping[str, str], project: Path) -> None:
    """Has Dagster create its tables, in a separate process.

    Dagster processes that start together on an empty database each try to make them, and all
    but one fail.

    Raises:
        LocalStackError: Dagster failed.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-c", _MAKE_TABLES],
            cwd=project,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalStackError(f"Dagster did not make its tables within {_SECONDS} s.") from error
    if result.returncode != 0:
        lines = "\n".join(f"    {line}" for line in result.stdout.splitlines()[-15:])
        raise LocalStackError(f"Dagster could not make its tables. It says:\n{lines}")
