"""What a release is made of: one version, a typed wheel, the Pythons that are claimed."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner

from taxi_platform.cli.main import app
from taxi_platform_tests.conftest import PROJECT

CLAIMS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
VERSION = CLAIMS["version"]
PACKAGES = ("bigquery_emulator", "gcs_emulator", "loopback_server")


@pytest.mark.parametrize(
    ("project", "package"),
    [(PROJECT, "taxi_platform"), *((PROJECT / "packages" / name, name) for name in PACKAGES)],
)
def test_the_wheel_is_typed_and_holds_its_own_package_only(
    project: Path, package: str, tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(tmp_path)], cwd=project, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert f"{package}/py.typed" in names
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {package}


def test_the_command_line_says_the_version_of_pyproject() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"taxi-platform {VERSION}\n"


def test_the_changelog_has_the_version() -> None:
    assert f"\n## {VERSION} - " in (PROJECT / "CHANGELOG.md").read_text()


def test_no_other_file_states_the_version() -> None:
    for name in ("Dockerfile", "Makefile", "deploy/compose.yaml", "deploy/image-check"):
        assert VERSION not in re.sub(r"(?m)^#.*", "", (PROJECT / name).read_text()), name


def test_continuous_integration_runs_every_python_that_is_claimed() -> None:
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
    pythons = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    claimed = SpecifierSet(CLAIMS["requires-python"])
    assert pythons == [f"3.{minor}" for minor in range(30) if claimed.contains(f"3.{minor}")]
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["check"]["steps"]]
