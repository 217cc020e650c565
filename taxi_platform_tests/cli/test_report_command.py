"""`taxi-platform report`: what it refuses, in one line that says what to give."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from taxi_platform.cli.main import app
from taxi_platform_tests.conftest import EmbeddedStack


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--color", "purple"], "--color is 'purple': one of green, yellow (TAXI_COLORS)"),
        (["--store", "gcs"], "--store is 'gcs': one of bigquery, postgres (TAXI_STORES)"),
        (["--from", "January"], "--from is 'January': give a month from 2009-01, such as 2024-01"),
        (["--to", "2024"], "--to is '2024': give a month from 2009-01, such as 2024-01"),
        (["--to", "9999-12"], "--to is '9999-12': give a month from 2009-01"),
        (["--from", "0001-01"], "--from is '0001-01': give a month from 2009-01"),
        (["--from", "2024-05", "--to", "2024-01"], "--from is 2024-05, which is after --to"),
        (["--output", "-"], "--output is '-': end its name in .html"),
        (["--output", "/dev/stdout"], "--output is '/dev/stdout': end its name in .html"),
        (["--output", "/nowhere/a.html"], "there is no folder /nowhere"),
    ],
)
def test_what_is_none_is_named(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "link.html").symlink_to(tmp_path / "pipe.html")
    for name in ("folder.html", "pipe.html", "link.html"):
        before = (tmp_path / name).lstat()
        result = CliRunner().invoke(app, ["report", "--output", str(tmp_path / name)])
        assert result.exit_code == 1
        assert "which is no file: give a file" in " ".join(result.stderr.split())
        assert (tmp_path / name).lstat() == before


@pytest.mark.integration
@pytest.mark.parametrize("store", ["bigquery", "postgres"])
def test_a_store_without_marts_says_how_to_make_them(
    store: str, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = {"TAXI_POSTGRES_SCHEMA": "no_marts", "TAXI_BIGQUERY_DATASET": "no_marts"}
    for name, value in (stack.environment | changed).items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", "--store", store, "--output", str(path)])
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "has no marts of green, yellow: load a month first, with the job ingest_month" in said
    assert not path.exists()
