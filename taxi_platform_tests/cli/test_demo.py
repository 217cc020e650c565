import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import AssetMaterialization, DagsterInstance
from rich.cells import cell_len
from rich.progress import Progress

from taxi_platform.assets.keys import ZONES
from taxi_platform.cli import demo
from taxi_platform.io_managers.metadata import source_metadata
from taxi_platform_tests.cli.terminals import COMMAND, on_terminal
from taxi_platform_tests.conftest import PROJECT, ignore_interrupts, inherited_environment

pytestmark = pytest.mark.integration

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


@pytest.mark.parametrize(
    ("source", "loads"),
    [
        (None, True),
        ("synthetic:taxi_zones", True),
        ("https://example.com/taxi_zone_lookup.csv", False),
    ],
)
def test_the_demo_brings_zones_but_replaces_no_real_ones(
    source: str | None, loads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(demo, "_run", lambda what, *_: started.append(what))
    with DagsterInstance.ephemeral() as instance:
        if source is not None:
            event = AssetMaterialization(ZONES, metadata=source_metadata(source))
            instance.report_runless_asset_event(event)
        demo._load_zones(instance, Progress())
    assert started == (["taxi_zones"] if loads else [])


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def look_fits_a_terminal(folder: Path, command: list[str]) -> None:
    """What the demo suggests is a table of 80 columns, and says something."""
    environment = inherited_environment() | {"NO_COLOR": "1"}
    code, received = on_terminal(*command, environment=environment, columns=80, folder=folder)
    shown = received.decode()
    assert code == 0, shown
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert lines[0].startswith("┏"), shown
    assert max(map(cell_len, lines)) <= 80
    rows = [re.findall(r"[\w.-]+", line) for line in lines if line.startswith("│")]
    assert len(rows) > 3
    assert sum(int(row[1]) for row in rows if len(row) == 3) > 5_000


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
    suggested = re.findall(r"^  \S+ (query --store \w+ '.*')$", demo.stdout, re.MULTILINE)
    assert len(suggested) == 2
    for command in suggested:
        look_fits_a_terminal(folder, shlex.split(command))
    refused = run(folder, "query", "DELETE FROM trips.green_trips")
    assert refused.returncode == 1
    assert "Give one statement that reads" in refused.stderr


def test_a_demo_that_is_told_to_stop_in_the_background_stops(folder: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "demo"],
        cwd=folder,
        env=inherited_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=ignore_interrupts,
    ) as demo:
        deadline = time.monotonic() + 120
        while not list(folder.glob(".taxi/data/raw/green/*.parquet")):
            assert time.monotonic() < deadline
            assert demo.poll() is None
            time.sleep(0.05)
        demo.terminate()
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, said
    assert "Traceback" not in said
    assert "reconciled" not in said
