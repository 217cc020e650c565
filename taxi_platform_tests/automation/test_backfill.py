"""Backfills by the real daemon, which is killed while it works."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from dagster import DagsterRunStatus

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.automation.unattended import (
    BIN,
    UnattendedPlatform,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.conftest import EmbeddedStack, ignore_interrupts
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(900)]

MONTHS = [TripMonth.from_key(f"green|2022-{number:02}") for number in range(1, 13)]
RANGE = ("--color", "green", "--from", "2022-01", "--to", "2022-12")
ROWS = 500
STOPS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """12 months; of every third, the first two downloads fail."""
    file = tmp_path_factory.mktemp("published") / "month.parquet"
    with running_publisher() as running:
        for number, month in enumerate(MONTHS):
            write_synthetic_month(month, file, ROWS + number)
            failures = 2 if number % 3 == 0 else 0
            running.publish(f"{month.stem}.parquet", file.read_bytes(), failures=failures)
        yield running


@pytest.fixture(scope="module")
def platform(stack: EmbeddedStack, publisher: Publisher) -> Iterator[UnattendedPlatform]:
    settings = {"TAXI_SOURCE_URL": publisher.template, "TAXI_RETRIES": "3"}
    with unattended_platform(stack, "backfilled", **settings) as running:
        yield running


def start_backfill(platform: UnattendedPlatform, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "taxi-platform", "backfill", *arguments],
        cwd=platform.folder,
        env=platform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=ignore_interrupts,
    )


def kill_a_run(platform: UnattendedPlatform) -> None:
    """Ends the process of a run that has begun, as a machine short of memory does."""
    server = psutil.Process(platform.processes["code"].pid)

    def run_processes() -> list[psutil.Process]:
        return [p for p in server.children() if "spawn_main" in " ".join(p.cmdline())]

    os.kill(wait_until(run_processes)[-1].pid, signal.SIGKILL)


def test_a_backfill_outlives_its_command_its_daemon_and_its_runs(
    platform: UnattendedPlatform, publisher: Publisher
) -> None:
    requested = platform.command("backfill", *RANGE, "--detach")
    assert requested.returncode == 0, requested.stdout + requested.stderr
    assert "of 12 months" in requested.stdout
    assert "No daemon is running" in requested.stdout

    platform.start_daemon()
    commands = {number: start_backfill(platform, *RANGE) for number in STOPS}
    wait_until(lambda: platform.ended(taxi__reason="backfill") >= 3, 400)
    platform.kill("daemon")
    kill_a_run(platform)
    for number, command in commands.items():
        command.send_signal(number)
        said, _ = command.communicate(timeout=120)
        assert command.returncode == 130, said
        assert "12 of the months are part of the unfinished backfill" in said
        assert "continues in the daemon" in said

    platform.start_daemon()
    again = platform.command("backfill", *RANGE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "12 months loaded, 0 failed" in again.stdout

    runs = platform.runs(taxi__reason="backfill")
    succeeded = Counter(
        run.tags["dagster/partition"] for run in runs if run.status is DagsterRunStatus.SUCCESS
    )
    assert succeeded == dict.fromkeys((month.key for month in MONTHS), 1)
    died = [run for run in runs if run.status is not DagsterRunStatus.SUCCESS]
    assert all("dagster/auto_retry_run_id" in run.tags for run in died), died
    assert platform.rows() == {month.month: (platform.kept_rows(month),) * 2 for month in MONTHS}
    assert not any(file.failures for file in publisher.files.values())

    nothing = platform.command("backfill", *RANGE, "--missing-only")
    assert nothing.returncode == 0, nothing.stdout
    assert "nothing to do" in nothing.stdout
