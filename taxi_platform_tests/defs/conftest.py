"""A copy of the project for a user to work in, and Dagster's `dg` in it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxi_platform_tests.automation.unattended import BIN
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack


@dataclass(frozen=True)
class UsersProject:
    """A copy of the project, on the embedded stack."""

    folder: Path
    stack: EmbeddedStack

    @property
    def defs(self) -> Path:
        """Where a user's own assets go."""
        return self.folder / "taxi_platform" / "defs"

    def dg(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `dg` in it."""
        quiet = {"PYTHONWARNINGS": "ignore", "COLUMNS": "200"}
        return subprocess.run(
            [BIN / "dg", *arguments],
            cwd=self.folder,
            env=self.stack.environ(PYTHONPATH=str(self.folder), **quiet),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def project(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> UsersProject:
    folder = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, folder)
    shutil.copytree(
        PROJECT / "taxi_platform",
        folder / "taxi_platform",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return UsersProject(folder, stack)
