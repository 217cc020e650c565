"""The benches run whole and say what they promise; how fast anything is, is not asked here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contest import Bench, Contender, Result, compete, seconds_by_theirs
from benchmarks.processes import ContestError
from benchmarks.report import BEGIN, END, write_section
from taxi_platform_tests.conftest import PROJECT

FEW = {"TAXI_BENCH_MONTHS": "2", "TAXI_BENCH_HISTORY": "4"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the benches keep their inputs, with a stack that runs already: one for all of them."""
    from taxi_platform.local.stack import LocalStack

    folder = tmp_path_factory.mktemp("bench")
    stack_folder = folder / "stack"
    stack_folder.mkdir()
    (stack_folder / "dagster.yaml").write_bytes((PROJECT / "dagster.yaml").read_bytes())
    stack = LocalStack(stack_folder)
    try:
        stack.up()
        yield folder
    finally:
        stack.reset()


def run_bench(kept: Path, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The contenders' lines and the closing line's ratios."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1", "--json"],
        cwd=PROJECT,
        env=os.environ | {"TAXI_BENCH_DIR": str(kept), **FEW},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    *lines, closing = map(json.loads, run.stdout.splitlines())
    assert set(closing) == {"bench", "ratios"}
    for line in lines:
        assert line["bench"] == closing["bench"] == arguments[0]
        assert set(line) >= {"contender", "rows", "seconds", "rows_per_second", "peak_mb"}
        assert line["seconds"] > 0
        if line["contender"] != "psql_copy":
            # Less could not have loaded an interpreter: some other process was looked at.
            assert line["peak_mb"] > 20
    return lines, closing["ratios"]


BENCHES: dict[str, tuple[list[str], set[str], set[str]]] = {
    "clean_parquet": (
        [],
        {"taxi_platform", "pandas", "duckdb", "duckdb_bare", "polars"},
        {"pandas", "duckdb", "polars"},
    ),
    "clean": ([], {"taxi_platform", "pandas", "duckdb", "polars"}, {"pandas", "duckdb", "polars"}),
    "postgres": (
        [],
        {"taxi_platform", "to_sql", "dlt", "psql_copy"},
        {"to_sql", "dlt", "psql_copy"},
    ),
    # The larger month and the cold command lines are measured by the same code, and take longer.
    "memory": (
        ["--only", "taxi_platform", "--only", "taxi_platform_x4"],
        {"taxi_platform", "taxi_platform_x4"},
        {"peak_x4"},
    ),
    "partition_parquet": (["--only", "warm", "--only", "tutorial"], {"warm", "tutorial"}, set()),
    "partition": (["--only", "warm"], {"warm"}, set()),
    "orchestration": (["--only", "warm"], {"warm"}, set()),
    "marts": (
        [],
        {"trips_of_both_stores", "marts_of_both_stores", "report_of_24_months"},
        {"trips_of_both_stores"},
    ),
    "history": ([], {"taxi_platform"}, {"months", "doctor", "status", "missing_only"}),
    "backfill": (
        ["--only", "one_after_another", "--only", "queued", "--only", "places_2"],
        {"one_after_another", "queued", "places_2"},
        {"queued", "places_2"},
    ),
}


@pytest.mark.integration
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_a_line_a_contender_and_the_ratios(kept: Path, name: str) -> None:
    pytest.importorskip("dlt", reason="the peers are in the extra 'bench'")
    pytest.importorskip("polars", reason="the peers are in the extra 'bench'")
    options, contenders, peers = BENCHES[name]
    # So many that some are rejected.
    rows = 2_000 if name == "clean_parquet" else 200
    lines, ratios = run_bench(kept, name, "--rows", str(rows), *options)
    assert {line["contender"] for line in lines} == contenders
    assert set(ratios) == peers
    handled = {line["contender"]: line["rows"] for line in lines}
    if name == "memory":
        assert handled["taxi_platform_x4"] == 4 * rows
    elif name == "history":
        assert handled == {"taxi_platform": 4 * rows}
    elif name == "backfill":
        assert lines[0]["rows"] == 2 * rows
        assert lines[0]["partitions_per_minute"] > 0
    elif name == "orchestration":
        assert set(handled.values()) == {1}
    else:
        # The same rows for all, so that seconds can be compared; of postgres those that were kept.
        assert len(set(handled.values())) == 1
        assert 0 < lines[0]["rows"] <= rows
    if name.startswith("partition"):
        warm = next(line for line in lines if line["contender"] == "warm")
        parts = ("raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips")
        assert all(warm[part] > 0 for part in (*parts, "rest"))
    if name == "clean_parquet":
        kept_rows = {line["contender"]: line["rows_kept"] for line in lines}
        assert 0 < kept_rows["taxi_platform"] < rows == kept_rows["duckdb_bare"]
        assert kept_rows["taxi_platform"] == kept_rows["duckdb"] == kept_rows["polars"]


@pytest.mark.integration
def test_what_is_measured_on_a_part_says_so(kept: Path) -> None:
    pytest.importorskip("dlt", reason="the peers are in the extra 'bench'")
    lines, _ = run_bench(kept, "postgres", "--rows", "300", "--only", "to_sql")
    assert lines[0]["measured_rows"] == lines[0]["rows"]


def a_bench(contender: Contender, **changed: Any) -> Bench:
    options: dict[str, Any] = {
        "name": "made-up",
        "rows": 10,
        "contenders": (contender,),
        "compare": seconds_by_theirs("ours", "theirs"),
        "inputs": lambda _rows: None,
        "surroundings": nullcontext,
    }
    return Bench(**options | changed)


@pytest.mark.slow
def test_the_peak_is_that_of_the_process_and_what_it_starts() -> None:
    hold = "import time; held = b'x' * 200_000_000; time.sleep(1.5)"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True)"
    alone = Contender("ours", command=lambda _rows: [sys.executable, "-c", hold])
    with_child = Contender("theirs", command=lambda _rows: [sys.executable, "-c", start])
    bench = a_bench(alone, contenders=(alone, with_child))
    for result in compete(bench, 10, 1, []):
        assert 190 < result.peak_mb < 350


def test_a_contender_that_fails_fails_the_bench_with_what_it_said() -> None:
    failing = Contender("ours", command=lambda _rows: [sys.executable, "-c", "raise OSError('no')"])
    with pytest.raises(ContestError, match="OSError: no"):
        compete(a_bench(failing), 10, 1, [])


def result(contender: str, seconds: float) -> Result:
    return Result("made-up", contender, 10, seconds, 100.0, {})


def test_ratios_are_of_those_that_took_part() -> None:
    compare = seconds_by_theirs("ours", "theirs", "others")
    assert compare([result("ours", 1), result("theirs", 4)]) == {"theirs": 0.25}
    assert compare([result("theirs", 4)]) == {}


def test_the_median_of_the_rounds_counts() -> None:
    seconds = iter([5.0, 1.0, 3.0])
    contender = Contender(
        "ours",
        command=lambda _rows: [sys.executable, "-c", ""],
        after=lambda _seconds, _since: {"seconds": next(seconds)},
    )
    assert compete(a_bench(contender), 10, 3, [])[0].seconds == 3.0


def test_the_table_is_written_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    contender = Contender("ours", command=lambda _rows: [])
    for _ in range(2):
        write_section(path, [(a_bench(contender), [result("ours", 2), result("theirs", 4)])])
    text = path.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old" not in text
    assert text.count("| ours | 10 | 2.00 | 5 | 100 |") == 1
    assert "Ours by theirs: theirs 0.5" in text
    path.write_text("no marks")
    with pytest.raises(ContestError, match="lacks the marks"):
        write_section(path, [])
