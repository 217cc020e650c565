"""`taxi-platform status`: what it says of months that are loaded, failed, lost, late or not due."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from typer.testing import CliRunner, Result

from taxi_platform.automation.calendar import MonthState, StoredMonths, month_statuses
from taxi_platform.cli.main import app
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.cli.loading import load_months
from taxi_platform_tests.cli.terminals import COMMAND, on_terminal
from taxi_platform_tests.conftest import EmbeddedStack, inherited_environment

PLACE = "status_test"
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def loaded(
    stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """An installation with some months of green.

    2024-01 is loaded, Postgres has lost 2024-02, 2024-03 failed. 2024-04 is loaded, and a second
    version of it was refused by a check.
    """
    folder = tmp_path_factory.mktemp("status")
    (folder / "dagster.yaml").touch()
    publish(folder, "green|2024-01", 500)
    publish(folder, "green|2024-02", 500)
    publish(folder, "green|2024-04", 1_000)
    environment = {
        **stack.environment,
        "DAGSTER_HOME": str(folder),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE_URL": f"file://{folder}/{{color}}_tripdata_{{month}}.parquet",
        "TAXI_FIRST_MONTH": "2024-01",
        "TAXI_POSTGRES_SCHEMA": PLACE,
        "TAXI_BIGQUERY_DATASET": PLACE,
        "TAXI_GCS_BUCKET": PLACE,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        storage.Client(project="test", credentials=AnonymousCredentials()).create_bucket(PLACE)
        load_months("green|2024-01", "green|2024-02", "green|2024-03", "green|2024-04")
        publish(folder, "green|2024-04", 200)
        load_months("green|2024-04")
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {PLACE}.green_trips_2024_02")
        yield environment
        connection.execute(f"DROP SCHEMA {PLACE} CASCADE")


def publish(folder: Path, key: str, rows: int) -> None:
    month = TripMonth.from_key(key)
    write_synthetic_month(month, folder / f"{month.stem}.parquet", rows)


def status(environment: dict[str, str], *options: str, **changed: str | None) -> Result:
    return CliRunner().invoke(app, ["status", *options], env={**environment, **changed})


def row_of(shown: str, color: str, year: int) -> str:
    """The signs of a row of the calendar, one for each month."""
    (line,) = [line for line in shown.splitlines() if re.match(rf"{color} +{year} ", line)]
    start = shown.splitlines()[0].index("Jan")
    return f"{line:<60}"[start + 1 :: 4][:12]


@pytest.mark.integration
def test_the_calendar_shows_what_stores_and_runs_say(loaded: dict[str, str]) -> None:
    run = status(loaded)
    assert run.exit_code == 0, run.output
    assert row_of(run.stdout, "green", 2024).startswith("#+FF--------")
    assert row_of(run.stdout, "yellow", 2024) == "-" * 12
    assert re.search(r"^#     1  loaded in bigquery, gcs, postgres$", run.stdout, re.MULTILINE)
    assert re.search(r"^months in bigquery 3, gcs 3, postgres 2; in all \d+$", run.stdout, re.M)
    assert (
        "green|2024-02: Dagster recorded a load, but it is not in postgres: "
        "taxi-platform backfill --color green --from 2024-02 --to 2024-02\n"
    ) in run.stdout
    assert "taxi-platform backfill --color green --from 2024-03 --to" in run.stdout
    assert "green|2024-03: raw_trips failed: not published: there is no file" in run.stdout
    assert re.search(r"^green\|2024-04: the check \S+ did not pass: ", run.stdout, re.MULTILINE)


@pytest.mark.integration
def test_json_has_every_month_and_the_colors_that_were_asked_for(loaded: dict[str, str]) -> None:
    report = json.loads(status(loaded, "--json", "--color", "green").stdout)
    months = {month["partition"]: month for month in report["months"]}
    assert months["green|2024-01"] == {
        "partition": "green|2024-01",
        "state": "loaded",
        "stores": ["bigquery", "gcs", "postgres"],
        "lost": [],
        "cause": None,
    }
    assert months["green|2024-02"]["state"] == "partly"
    assert months["green|2024-02"]["lost"] == ["postgres"]
    assert months["green|2024-03"]["state"] == "failed"
    assert months["green|2024-03"]["stores"] == []
    assert "raw_trips failed: not published: " in months["green|2024-03"]["cause"]
    assert months["green|2024-04"]["state"] == "failed"
    assert months["green|2024-04"]["stores"] == ["bigquery", "gcs", "postgres"]
    assert report["errors"] == {}
    assert report["stores"] == {"bigquery": 3, "gcs": 3, "postgres": 2}
    assert sum(report["totals"].values()) == len(months)
    assert all(key.startswith("green|") for key in months)


@pytest.mark.integration
def test_the_calendar_fits_a_terminal_and_needs_no_color(loaded: dict[str, str]) -> None:
    columns = 80
    environment = inherited_environment() | loaded
    code, received = on_terminal("status", environment=environment, columns=columns)
    assert code == 0, received
    assert b"\x1b[32m#" in received
    shown = STYLES.sub("", received.decode())
    assert row_of(shown, "green", 2024).startswith("#+F")
    assert max(map(len, shown.split("months in ")[0].splitlines())) <= 80
    _, plain = on_terminal("status", environment=environment | {"NO_COLOR": "1"}, columns=columns)
    assert b"\x1b" not in plain
    assert plain.decode() == shown


@pytest.mark.integration
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_calendar_needs_no_character_beyond_ascii(
    loaded: dict[str, str], encoding: str
) -> None:
    done = subprocess.run(
        [COMMAND, "status"],
        env=inherited_environment() | loaded | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    shown = done.stdout.decode("ascii")
    assert "\\" not in shown
    assert "\x1b" not in shown
    assert row_of(shown, "green", 2024).startswith("#+F")


DOWN: dict[str, tuple[dict[str, str | None], str, str]] = {
    "Postgres": ({"TAXI_POSTGRES_PORT": "9"}, "postgres", "##FF"),
    "BigQuery": ({"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9"}, "bigquery", "#+FF"),
    "GCS": ({"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}, "gcs", "#+FF"),
    "Dagster": ({"DAGSTER_HOME": None}, "dagster", "#+-#"),
}


@pytest.mark.integration
@pytest.mark.parametrize("what", DOWN)
def test_what_does_not_answer_is_one_line_and_the_rest_is_shown(
    loaded: dict[str, str], what: str
) -> None:
    changed, where, signs = DOWN[what]
    run = status(loaded, **changed)
    assert run.exit_code == 1
    assert run.stderr.startswith(f"Error: {where}: ")
    assert run.stderr.count("\n") == 1
    assert row_of(run.stdout, "green", 2024).startswith(signs)
    report = json.loads(status(loaded, "--json", **changed).stdout)
    assert list(report["errors"]) == [where]


@pytest.mark.integration
def test_without_any_store_no_month_is_called_missing(loaded: dict[str, str]) -> None:
    run = status(loaded, TAXI_STORES="postgres", TAXI_POSTGRES_PORT="9")
    assert row_of(run.stdout, "green", 2024) == "??FF????????"
    assert "?" in run.stdout


def test_a_color_that_is_not_loaded_is_refused() -> None:
    run = CliRunner().invoke(app, ["status", "--color", "pink"])
    assert run.exit_code == 1
    assert "--color is 'pink': one of green, yellow (TAXI_COLORS)" in run.stderr


def test_a_month_is_overdue_by_the_rule_of_the_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    """75 days after its end, if it is one of the six newest; older ones are missing history."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    chosen = Settings(colors=("green",), first_month="2023-01")
    loaded = {TripMonth.from_key("green|2023-02")}
    now = datetime(2024, 3, 15, 12, tzinfo=UTC)
    found = month_statuses(chosen, ["green"], StoredMonths({"postgres": loaded}), None, now)
    states = {s.month.year_month: s.state for s in found}
    assert states["2023-01"] is MonthState.MISSING
    assert states["2023-02"] is MonthState.LOADED
    assert states["2023-08"] is MonthState.MISSING
    assert states["2023-09"] is MonthState.OVERDUE
    assert states["2023-12"] is MonthState.NOT_DUE  # 75 days after its end are tomorrow
    assert states["2024-02"] is MonthState.NOT_DUE
    assert "2024-03" not in states
    later = datetime(2024, 3, 16, tzinfo=UTC)
    found = month_statuses(chosen, ["green"], StoredMonths({"postgres": loaded}), None, later)
    assert found[11].state is MonthState.OVERDUE


def test_months_before_a_color_was_published_are_none() -> None:
    chosen = Settings(colors=("green",), first_month="2013-01")
    found = month_statuses(chosen, ["green"], StoredMonths({"postgres": set()}), None)
    assert found[0].month.key == "green|2013-08"
