"""The services of compose.yaml write to their volumes and to temporary folders only, `code` too.

Without Docker: in a mount namespace, in which everything else is read-only.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.automation.unattended import (
    BIN,
    START_SECONDS,
    UnattendedPlatform,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, free_port

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(600)]

MONTH = TripMonth.from_key("green|2023-03")
VOLUMES = ("home/storage", "data", "tmp")

READ_ONLY = """
set -eu
folder=$1
shift
mount --bind "$folder" "$folder"
for volume in VOLUMES; do mount --bind "$folder/$volume" "$folder/$volume"; done
mount -o remount,bind,ro "$folder"
mount -o remount,bind,ro /
if touch "$folder/home/written" 2>/dev/null; then exit 3; fi
exec "$@"
""".replace("VOLUMES", " ".join(VOLUMES))


@pytest.fixture(scope="module")
def platform(stack: EmbeddedStack) -> Iterator[UnattendedPlatform]:
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mount namespaces need Linux, root and util-linux")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    settings = {"TAXI_SOURCE_URL": "synthetic", "HOME": "/nonexistent"}  # the image has none
    with unattended_platform(stack, "readonly", **settings) as running:
        running.environment["TMPDIR"] = str(running.folder / "tmp")
        for volume in VOLUMES:
            (running.folder / volume).mkdir(exist_ok=True)
        running.kill("code")
        yield running


def start(platform: UnattendedPlatform, name: str, *command: str) -> None:
    prefix = ("/usr/bin/unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(platform.folder))
    platform.start(name, *prefix, str(BIN / command[0]), *command[1:])


def healthy(platform: UnattendedPlatform, *role: str) -> bool:
    """Whether the image's own health check succeeds."""
    path = f"{BIN}:{os.environ['PATH']}"
    check = [str(PROJECT / "deploy/healthcheck"), *role]
    environment = platform.environment | {"PATH": path}
    return not subprocess.run(check, env=environment, check=False, capture_output=True).returncode


def test_the_services_need_no_other_place_to_write_to(platform: UnattendedPlatform) -> None:
    code, web = str(platform.code_port), str(free_port())
    serve = ("dagster", "api", "grpc", "-m", "taxi_platform.definitions", "-h", "127.0.0.1")
    where = ("-h", "127.0.0.1", "-p", web, "-w", "workspace.yaml")
    start(platform, "migrate", "dagster", "instance", "migrate")
    assert platform.processes.pop("migrate").wait(START_SECONDS) == 0
    start(platform, "code", *serve, "-p", code)
    start(platform, "web", "dagster-webserver", *where)
    start(platform, "daemon", "dagster-daemon", "run", "-w", "workspace.yaml")
    roles = (("code", code), ("webserver", web), ("daemon",))
    wait_until(lambda: all(healthy(platform, *role) for role in roles), START_SECONDS, every=2)

    year_month = MONTH.year_month
    wanted = ("--color", "green", "--from", year_month, "--to", year_month)
    done = platform.command("backfill", *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert platform.is_loaded_whole(MONTH)
