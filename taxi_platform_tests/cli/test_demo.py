import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform_tests.conftest import PROJECT

pytestmark = pytest.mark.integration

COMMAND = Path(sys.executable).with_name("taxi-platform")
LAST_LINE = re.compile(
    r"reconciled: 2 partitions, (\d+) rows read = (\d+) kept \+ (\d+) rejected; "
    r"BigQuery (\d+), Postgres (\d+)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    yield tmp_path
    run(tmp_path, "local", "reset", "--yes")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_"))}
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env={k: v for k, v in outside.items() if not k.endswith("_EMULATOR_HOST")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_reconciles_and_a_second_one_doubles_nothing(folder: Path) -> None:
    counts = []
    for _ in range(2):
        demo = run(folder, "demo")
        assert demo.returncode == 0, demo.stdout + demo.stderr
        last = LAST_LINE.fullmatch(demo.stdout.rstrip().splitlines()[-1])
        assert last is not None, demo.stdout
        read, kept, rejected, bigquery, postgres = map(int, last.groups())
        assert read == kept + rejected
        assert kept == bigquery == postgres
        assert "synthetic" in demo.stdout
        assert "Traceback" not in demo.stderr
        counts.append(last.groups())
    assert counts[0] == counts[1]

    for store in ("postgres", "bigquery"):
        asked = run(
            folder, "query", "--store", store, "SELECT COUNT(*) AS trips FROM trips.green_trips"
        )
        assert asked.returncode == 0, asked.stderr
        assert "trips" in asked.stdout
    refused = run(folder, "query", "DELETE FROM trips.green_trips")
    assert refused.returncode == 1
    assert "read-only transaction" in refused.stderr
