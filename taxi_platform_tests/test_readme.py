"""The commands of README.md and docs/commands.md, run as they are printed there, by a shell.

Every line of their `sh` blocks is run, in a folder of their own. Trips are synthetic.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.reader import Reader, blocks_of, reading

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(1200)]

EXCLUDED = {"make test": "it would run this test within itself"}
SERVERS = {"make dev"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with reading(tmp_path / "checkout", "synthetic") as found:
        month = TripMonth.from_key("green|2024-01")
        write_synthetic_month(month, found.folder / f"own/{month.stem}.parquet", 2_000)
        yield found


def test_every_command_of_the_readme_does_what_it_says(reader: Reader) -> None:
    said: dict[str, str] = {}
    *first, own_files = blocks_of((PROJECT / "README.md").read_text())
    commands = blocks_of((PROJECT / "docs/commands.md").read_text())
    # What takes a month from a folder is the last: after it, a synthetic one would be refused.
    for block in (*first, *commands, own_files):
        for command in block:
            if command in EXCLUDED:
                continue
            if command in SERVERS:
                reader.serve(command)
            else:
                said[command] = reader.run(command)
    assert "reconciled: 2 partitions" in said["make demo"].splitlines()[-1]
    assert "postgres_trips" in said["dg list defs"]
    assert "12 months loaded, 0 failed" in "".join(said.values())
    assert "green  2024  S" in said["taxi-platform status"]
    assert Path(said["taxi-platform report"].strip()).is_file()
    rows = reader.run("taxi-platform query 'SELECT count(*) FROM trips.green_trips'")
    assert re.fullmatch(r"count\n[1-9]\d+\n", rows), rows
    # The last command took a month of 2,000 rows from a folder the whole way, over the demo's.
    month = "SELECT count(*) FROM trips.green_trips WHERE data_file_month = DATE '2024-01-01'"
    own = reader.run(f'taxi-platform query "{month}"')
    assert re.fullmatch(r"count\n(19\d\d|2000)\n", own), own
    assert {"make demo", "dg check defs", "taxi-platform local up"} <= said.keys()
    assert reader.servers
    assert any(command.startswith("dg launch") for command in said)
    assert any(command.startswith("dagster asset materialize") for command in said)


def test_what_looks_at_definitions_needs_no_stack_and_what_runs_them_says_what_to_do(
    reader: Reader,
) -> None:
    reader.active = True
    for command in ("dg check defs", "dg list defs"):
        assert "local up" not in reader.run(command)
    needing = [
        "dg launch --assets raw_trips --partition 'green|2024-01'",
        "dg dev --port 0",
        (
            "dagster asset materialize -m taxi_platform.definitions --select raw_trips "
            "--partition 'green|2024-01'"
        ),
        "taxi-platform backfill --color green --from 2024-01 --to 2024-01",
        "taxi-platform query 'SELECT 1'",
        "taxi-platform query --store bigquery 'SELECT 1'",
        "taxi-platform doctor",
    ]
    reader.run("taxi-platform local up")
    (reader.folder / ".env").rename(reader.folder / "env")
    reader.run("taxi-platform local down")
    for state in ("never up", "down"):
        if state == "down":
            (reader.folder / "env").rename(reader.folder / ".env")
        for command in needing:
            done = reader.attempt(command)
            assert done.returncode != 0, (state, command)
            assert "Traceback" not in done.stdout, done.stdout
            line = done.stdout.rstrip().splitlines()[-1]
            assert "taxi-platform local" in line, (state, command, done.stdout)
        for command in ("dg check defs", "dg list defs"):
            reader.run(command)
