"""Backfills by the real daemon, which is killed while it works."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

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
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.stores.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(900)]

MONTHS = [
    TripMonth.from_key(f"green|{year}-{month:02}") for year in (2022, 2023) for month in range(1, 13)
]
RANGE = ("--color", "green", "--from", "2022-01", "--to", "2023-12")
ROWS = 500


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """24 months, each third of which is not to be had at the first two tries."""
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


def start_command(platform: UnattendedPlatform, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "taxi-platform", "backfill", *arguments],
        cwd=platform.folder,
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def loaded(platform: UnattendedPlatform) -> set[str]:
    runs = platform.runs(taxi__reason="backfill")
    return {
        run.tags["dagster/partition"] for run in runs if run.status is DagsterRunStatus.SUCCESS
    }


def test_a_backfill_outlives_its_command_its_daemon_and_its_runs(
    platform: UnattendedPlatform,
) -> None:
    begun = time.monotonic()
    def say(what): print(f"{time.monotonic()-begun:6.1f} {what}", flush=True)
    platform.start_daemon()
    command = start_command(platform, *RANGE)
    wait_until(lambda: len(loaded(platform)) >= 3, 300)
    say("3 loaded")
    # The process of a run dies in the midst of its work, for want of memory say.
    server = psutil.Process(platform.processes["code"].pid)
    say(str(server.children(recursive=True)))
    platform.kill("daemon")
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=60)
    say(output)
    assert command.returncode == 130, output
    time.sleep(1)
    platform.start_daemon()
    again = start_command(platform, *RANGE)
    out,_=again.communicate(timeout=600)
    say(out)
    say([ (r.tags.get("dagster/partition"), r.status) for r in platform.runs(taxi__reason="backfill")])
    assert again.returncode==0
