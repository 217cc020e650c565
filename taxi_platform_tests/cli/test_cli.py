import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from taxi_platform.cli.main import app
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform.trips.types import every_rule
from taxi_platform_tests.conftest import inherited_environment
from taxi_platform_tests.trips.published import trip, write_csv

run = CliRunner().invoke


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "yellow_tripdata_2021-01.csv.gz"
    write_synthetic_month(TripMonth.from_key("yellow|2021-01"), path, rows=5_000)
    return path


def test_inspect_writes_json_with_what_the_file_holds(synthetic: Path) -> None:
    result = run(app, ["inspect", str(synthetic), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["color"], report["month"], report["rows_read"]) == ("yellow", "2021-01", 5_000)
    assert report["columns_mapped"]["PULocationID"] == "pickup_location_id"
    assert report["columns_unknown"] == []
    assert report["rows_kept"] + report["rows_rejected"] == 5_000
    assert sum(report["rejected_by_reason"].values()) == report["rows_rejected"] > 0
    assert set(report) == {
        "color",
        "month",
        "columns_mapped",
        "columns_unknown",
        "rows_read",
        "rows_kept",
        "rows_rejected",
        "rejected_by_reason",
        "first_unparseable",
        "warnings",
    }


def test_inspect_tells_people_the_same(synthetic: Path) -> None:
    result = run(app, ["inspect", str(synthetic)])
    assert result.exit_code == 0
    assert "yellow trips of 2021-01" in result.stdout
    assert "PULocationID -> pickup_location_id" in result.stdout
    assert "rows read 5,000 = kept" in result.stdout


def test_inspect_says_what_cannot_be_parsed_first(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2020-01.csv"
    write_csv(path, [trip(), trip(fare_amount="ten"), trip(fare_amount="?")])
    result = run(app, ["inspect", str(path)])
    assert "first unparseable: line 3: fare_amount has 'ten', expected a number" in result.stdout
    report = json.loads(run(app, ["inspect", str(path), "--json"]).stdout)
    assert report["rejected_by_reason"] == {"unparseable": 2}
    assert report["first_unparseable"]["line_number"] == 3


def test_inspect_finds_color_and_month_in_a_file_with_no_telling_name(
    synthetic: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "download"
    renamed.write_bytes(synthetic.read_bytes())
    report = json.loads(run(app, ["inspect", str(renamed), "--json"]).stdout)
    assert (report["color"], report["month"]) == ("yellow", "2021-01")


def test_inspect_reads_a_file_as_another_month_and_rejects_without_failing(
    synthetic: Path,
) -> None:
    result = run(app, ["inspect", str(synthetic), "--json", "--month", "2015-01"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rejected_by_reason"]["pickup_outside_month"] == 5_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"<html><body>no</body></html>", "HTML page"),
        (b"LocationID,Borough\n1,EWR\n", "not a trip file"),
        (b"PAR1 and nothing else", "Parquet"),
    ],
)
def test_inspect_says_in_one_line_why_a_file_cannot_be_read(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    result = run(app, ["inspect", str(path)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--color", "red"], ["--month", "January"], ["--month", "2024-13"]]
)
def test_inspect_names_the_option_that_is_wrong(synthetic: Path, arguments: list[str]) -> None:
    result = run(app, ["inspect", str(synthetic), *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {arguments[0]} is")


def test_rules_are_listed_for_people_and_for_scripts() -> None:
    listed = json.loads(run(app, ["rules", "--json"]).stdout)
    assert [rule["reason"] for rule in listed] == [rule.reason for rule in every_rule()]
    assert all(rule["description"] and rule["on_by_default"] for rule in listed)
    shown = run(app, ["rules"])
    assert shown.exit_code == 0
    assert "passengers_aboard" in shown.stdout


@pytest.fixture
def cleaned(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TripParquet:
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TAXI_ENV", raising=False)
    return LandingZone(tmp_path).write_cleaned(clean_trips(synthetic))


def test_rejects_shows_every_reason_with_examples(cleaned: TripParquet) -> None:
    result = run(app, ["rejects", "yellow|2021-01", "--examples", "2"])
    assert result.exit_code == 0
    assert f"{cleaned.rows_rejected:,} of 5,000 rows rejected" in result.stdout
    for reason, count in cleaned.rejected_by_reason.items():
        assert f"\n{reason}: {count:,}\n  line " in result.stdout
    report = json.loads(run(app, ["rejects", "yellow|2021-01", "--json"]).stdout)
    assert report["rejected_by_reason"] == cleaned.rejected_by_reason
    examples = report["examples"]["zero_passengers"]
    assert len(examples) == 3
    assert all(example["text"].split(",")[3] == "0" for example in examples)


@pytest.mark.parametrize(
    ("key", "said"),
    [("yellow-2021", "not a partition key"), ("green|2021-01", "materialize cleaned_trips")],
)
def test_rejects_says_what_is_missing(cleaned: TripParquet, key: str, said: str) -> None:
    result = run(app, ["rejects", key])
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--color", "pink", "--from", "2022-01", "--to", "2022-02"], "one of green, yellow"),
        (["--color", "green", "--from", "2022-05", "--to", "2022-02"], "2022-05 is after --to"),
        (["--color", "green", "--from", "2022-01", "--to", "2199-01"], "the last that has ended"),
        (["--color", "green", "--from", "2022-01", "--to", "2022-02"], "DAGSTER_HOME is not set"),
    ],
)
def test_backfill_says_what_was_wrong_with_what_it_was_given(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    result = run(app, ["backfill", *arguments])
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_text_of_a_file_is_shown_as_data_on_every_terminal(
    synthetic: Path, tmp_path: Path, encoding: str
) -> None:
    """Markup, escape sequences and characters that the terminal lacks, in names of columns."""
    path = tmp_path / "yellow_tripdata_2021-01.csv"
    header, rest = gzip.decompress(synthetic.read_bytes()).decode().split("\n", 1)
    odd = "[green] :taxi: …, \x1b[2J"
    lines = [f"{line},1,2" for line in rest.splitlines()]
    path.write_text("\n".join([f"{header},{odd}", *lines, ""]), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("taxi-platform"), "inspect", path],
        env=inherited_environment() | {"PYTHONIOENCODING": encoding},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode(encoding)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert "[green] :taxi: " in said
    assert ("…" if encoding == "utf-8" else "\\u2026") in said
    assert "\\x1b[2J" in said
