import json
import threading
from pathlib import Path

import pytest

from taxi_platform.landing.source_notes import note_source, noted_source

FIRST, SECOND = "1" * 64, "2" * 64
SOURCE = "https://d37ci6vzurychx.cloudfront.net/trip-data/green_tripdata_2024-01.parquet"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "green_tripdata_2024-01.parquet"


def test_the_source_of_another_content_is_not_known(raw: Path) -> None:
    assert noted_source(raw, FIRST) is None
    note_source(raw, FIRST, SOURCE)
    assert noted_source(raw, FIRST) == SOURCE
    assert noted_source(raw, SECOND) is None


def test_the_file_in_place_keeps_its_source_until_the_next_one_has_replaced_it(raw: Path) -> None:
    note_source(raw, FIRST, SOURCE)
    note_source(raw, SECOND, "file:///another")
    assert noted_source(raw, FIRST) == SOURCE
    assert noted_source(raw, SECOND) == "file:///another"


def test_a_file_that_is_published_elsewhere_has_the_newer_source(raw: Path) -> None:
    note_source(raw, FIRST, SOURCE)
    note_source(raw, SECOND, SOURCE)
    note_source(raw, FIRST, "file:///another")
    assert noted_source(raw, FIRST) == "file:///another"


def test_notes_do_not_grow(raw: Path) -> None:
    for number in range(50):
        note_source(raw, f"{number:064x}", SOURCE)
    assert raw.with_name("green_tripdata_2024-01.source.json").stat().st_size < 1_000


def test_the_note_of_an_earlier_version_is_read(raw: Path) -> None:
    notes = raw.with_name("green_tripdata_2024-01.source.json")
    notes.write_text(json.dumps({"sha256": FIRST, "source": SOURCE}))
    assert noted_source(raw, FIRST) == SOURCE
    note_source(raw, SECOND, "file:///another")
    assert noted_source(raw, FIRST) == SOURCE


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"sha256": 1}'])
def test_damaged_notes_are_replaced(raw: Path, text: str) -> None:
    raw.with_name("green_tripdata_2024-01.source.json").write_text(text)
    assert noted_source(raw, FIRST) is None
    note_source(raw, FIRST, SOURCE)
    assert noted_source(raw, FIRST) == SOURCE


def test_who_reads_while_another_run_writes_always_finds_the_source(raw: Path) -> None:
    note_source(raw, FIRST, SOURCE)
    ended = threading.Event()

    def write() -> None:
        for number in range(200):
            # Now and then the content is published again.
            note_source(raw, f"{number % 3:064x}", f"file:///{number}")
            note_source(raw, FIRST, SOURCE)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    while not ended.is_set():
        found.append(noted_source(raw, FIRST))
    writer.join()
    assert found.count(SOURCE) == len(found) > 200
