"""Fixtures of the stack's tests: a project of its own for each, stopped and removed afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform.local import (
    dagster_home,
    postgres_placement,
)
from taxi_platform.local.stack import LocalStack
from taxi_platform_tests.local.stack.stacks import make_project


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
