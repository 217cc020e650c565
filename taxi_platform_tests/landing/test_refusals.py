"""The rejects of a refused file are kept and labeled, next to those of the loaded month."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from taxi_platform.cli.main import app
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.errors import TooManyRejectedError
from taxi_platform_tests.months import GREEN, cleaned_month
from taxi_platform_tests.trips.published import HEADER, TRIP, write_csv


def rows(bad: str, count: int) -> list[str]:
    good = ",".join(TRIP.values()).replace("2020-01", "2024-01")
    return [good] * (10 - count) + [good.replace("12.9", bad)] * count


def refuse(landing: LandingZone, folder: Path, bad: str, count: int) -> str:
    path = write_csv(folder / "green_tripdata_2024-01.csv", rows(bad, count), header=HEADER)
    with pytest.raises(TooManyRejectedError) as error:
        landing.write_cleaned(clean_trips(path, GREEN))
    return str(error.value)


def test_the_rejects_of_a_refused_file_are_found_and_labeled(
    landing: LandingZone, tmp_path: Path
) -> None:
    assert landing.find_refusal(GREEN) is None
    message = refuse(landing, tmp_path, "free", 3)
    refused = landing.find_refusal(GREEN)
    assert refused is not None
    assert refused.message == message
    assert (refused.rows_read, refused.rejected_by_reason) == (10, {"unparseable": 3})
    (examples,) = landing.reject_examples(GREEN, 5, refused=True).values()
    assert ["free" in example["text"] for example in examples] == [True] * 3
    assert not list(landing.root.rglob("*.partial"))


def test_the_loaded_month_keeps_its_own_rejects(landing: LandingZone, tmp_path: Path) -> None:
    before = cleaned_month(landing, GREEN, 2_000)
    rejects = before.rejects_path.read_bytes()
    refuse(landing, tmp_path, "free", 3)
    assert before.rejects_path.read_bytes() == rejects
    assert landing.find_cleaned(GREEN) == before
    assert set(landing.reject_examples(GREEN, 1)) == set(before.rejected_by_reason)


def test_a_refusal_is_replaced_by_the_next_and_removed_by_a_good_load(
    landing: LandingZone, tmp_path: Path
) -> None:
    refuse(landing, tmp_path, "free", 3)
    refuse(landing, tmp_path, "gratis", 5)
    refused = landing.find_refusal(GREEN)
    assert refused is not None
    assert refused.rejected_by_reason == {"unparseable": 5}
    cleaned_month(landing, GREEN, 500)
    assert landing.find_refusal(GREEN) is None
    assert not landing.refused_path(GREEN).exists()


def test_rejects_of_the_refused_and_of_the_loaded_file_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "data"))
    landing = LandingZone(tmp_path / "data")
    run = CliRunner().invoke
    assert run(app, ["rejects", GREEN.key]).exit_code == 1

    message = refuse(landing, tmp_path, "free", 3)
    shown = run(app, ["rejects", GREEN.key])
    assert shown.exit_code == 0
    assert f"{GREEN}: REFUSED and not loaded: {message}" in shown.stdout
    assert "of the refused file, 3 of 10 rows rejected" in shown.stdout
    assert "free" in shown.stdout

    loaded = cleaned_month(landing, GREEN, 2_000)
    refuse(landing, tmp_path, "gratis", 4)
    found = json.loads(run(app, ["rejects", GREEN.key, "--json"]).stdout)
    assert found["rejected_by_reason"] == loaded.rejected_by_reason
    assert found["refused"]["rejected_by_reason"] == {"unparseable": 4}
    shown = run(app, ["rejects", GREEN.key])
    assert f"{GREEN}: {loaded.rows_rejected:,} of 2,000 rows rejected" in shown.stdout
    assert "gratis" in shown.stdout
    assert "free" not in shown.stdout
