"""Assets of a user's own: scaffolded by dg, found by themselves, and automated."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from taxi_platform.automation.months import newest_months
from taxi_platform.settings import load_settings
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack
from taxi_platform_tests.defs.conftest import UsersProject

# Not the newest: the TLC has not published that when it is the latest time window.
MONTH = [month for month in newest_months(load_settings()) if month.color == "green"][2]


@pytest.fixture(scope="module")
def scaffolded(project: UsersProject) -> Path:
    """What `dg scaffold` makes, filled with what docs/assets.md shows."""
    run = project.dg("scaffold", "defs", "dagster.asset", "tips.py")
    assert run.returncode == 0, run.stdout + run.stderr
    file = project.defs / "tips.py"
    assert "def tips" in file.read_text()
    snippets = re.findall(
        r"```python\n(.*?)```", (PROJECT / "docs/assets.md").read_text(), re.DOTALL
    )
    file.write_text(next(text for text in snippets if "def tips" in text))
    return file


@pytest.mark.integration
def test_dg_finds_what_it_scaffolded(project: UsersProject, scaffolded: Path) -> None:
    assert project.dg("check", "defs").returncode == 0
    listed = project.dg("list", "defs", "--json").stdout
    assert '"tips"' in listed
    assert '"postgres_trips"' in listed
    assert '"automation_conditions"' in listed


@pytest.mark.integration
def test_a_fault_in_an_asset_of_ones_own_is_named(project: UsersProject, scaffolded: Path) -> None:
    broken = scaffolded.with_name("broken.py")
    broken.write_text("import nothing_of_this_name\n")
    try:
        run = project.dg("check", "defs")
    finally:
        broken.unlink()
    assert run.returncode != 0
    assert "nothing_of_this_name" in run.stdout + run.stderr


@pytest.fixture(scope="module")
def platform(
    project: UsersProject, stack: EmbeddedStack, scaffolded: Path
) -> Iterator[UnattendedPlatform]:
    settings = {"TAXI_SOURCE_URL": "synthetic", "PYTHONPATH": str(project.folder)}
    with unattended_platform(stack, "ownassets", **settings) as running:
        running.start_daemon()
        yield running


@pytest.mark.daemon
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_an_eager_asset_follows_its_month_under_the_daemon(platform: UnattendedPlatform) -> None:
    run = platform.command(
        "backfill", "--color", "green", *("--from", MONTH.year_month), "--to", MONTH.year_month
    )
    assert run.returncode == 0, run.stdout + run.stderr

    def tips() -> int:
        schema = platform.environment["TAXI_POSTGRES_SCHEMA"]
        with psycopg.connect(platform.stack.postgres().conninfo) as connection:
            try:
                row = connection.execute(
                    f"SELECT count(*) FROM {schema}.green_tips WHERE data_file_month = %s",
                    [MONTH.month],
                ).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
        assert row is not None
        return int(row[0])

    assert wait_until(tips, 240) > 1
