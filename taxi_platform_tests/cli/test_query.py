"""`taxi-platform query`: what people and programs get of an answer."""

import csv
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from taxi_platform.cli.main import app
from taxi_platform_tests.cli.terminals import COMMAND, on_terminal
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

STORES = ["postgres", "bigquery"]

WIDE = "SELECT " + ", ".join(f"{n} AS a_column_with_number_{n}" for n in range(1, 21))
STYLES = re.compile(r"\x1b\[[0-9;]*m")
NARROW = "SELECT 'credit card' AS payment, 41237 AS trips"
ODD = "[green]:taxi:\x1b[2J\u202e"


def ask(stack: EmbeddedStack, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(app, ["query", *arguments], env={**stack.environment, **more})


def seen(stack: EmbeddedStack, columns: int, *arguments: str, **more: str) -> str:
    code, received = on_terminal(
        "query", *arguments, environment=stack.environ(**more), columns=columns
    )
    assert code == 0, received
    return received.decode()


def literal(text: str) -> str:
    """A text in Postgres' SQL, which has escapes for any character."""
    return "E'" + "".join(f"\\u{ord(character):04x}" for character in text) + "'"


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_no_value_of_a_wide_row_is_lost_on_a_terminal_of_any_width(
    stack: EmbeddedStack, columns: int
) -> None:
    shown = seen(stack, columns, WIDE)
    for number in range(1, 21):
        assert re.search(rf"^a_column_with_number_{number} +\| {number}$", shown, re.MULTILINE)
    assert all(cell_len(line) <= columns for line in shown.splitlines())
    assert "…" not in shown


def test_a_table_is_shown_as_one_where_it_fits(stack: EmbeddedStack) -> None:
    six = "SELECT " + ", ".join(f"{n} AS a_column_nr_{n}" for n in range(1, 7))
    assert "-[ row 1 ]-" in seen(stack, 80, six)
    for columns in (120, 200):
        lines = STYLES.sub("", seen(stack, columns, six)).splitlines()
        assert all(f"a_column_nr_{n}" in lines[1] for n in range(1, 7))
        assert all(cell_len(line) <= columns for line in lines)


def test_one_column_alone_is_folded_and_an_empty_answer_names_its_columns(
    stack: EmbeddedStack,
) -> None:
    folded = seen(stack, 80, "SELECT repeat('ab', 100) AS plan, 1 AS n LIMIT 0")
    assert "plan" in folded
    assert "no rows" in folded
    assert "no rows" in seen(stack, 80, f"SELECT * FROM ({WIDE}) t LIMIT 0")
    one = seen(stack, 80, "SELECT repeat('ab', 100) AS plan")
    assert re.sub(r"[^ab]", "", one.split("\n", 3)[3]) == "ab" * 100
    assert "row 1" not in one


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_terminal_obeys_nothing_in_an_answer(stack: EmbeddedStack, form: str) -> None:
    statement = f"SELECT {literal(ODD)} AS a, {literal(ODD * 40)} AS b"
    shown = seen(stack, 80, "--format", form, statement, NO_COLOR="1")
    assert "[green]:taxi:" in shown
    assert "\x1b" not in STYLES.sub("", shown)
    assert "\u202e" not in shown


def test_a_pipe_gets_csv_with_all_rows_and_their_characters_unchanged(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    many = f"SELECT n, {literal('é…' + ODD)} AS text FROM generate_series(1, 20000) n"
    done = subprocess.run(
        [COMMAND, "query", many],
        env=stack.environ(PYTHONIOENCODING="ascii", NO_COLOR="1"),
        capture_output=True,
        check=True,
    )
    rows = list(csv.reader(done.stdout.decode().splitlines()))
    assert rows[0] == ["n", "text"]
    assert len(rows) == 20_001
    assert rows[20_000] == ["20000", "é…" + ODD]
    assert len(ask(stack, many, "--limit", "3").stdout.splitlines()) == 4
    assert "the first 50 rows" in ask(stack, many, "--format", "table").stdout


VALUES = {
    "postgres": (
        "SELECT NULL::text AS nothing, '' AS empty, 'a\"b,c' || chr(10) || 'd' AS quoted, "
        "true AS yes, 12345678901234567890.10::numeric AS exact, 0.1::double precision AS real, "
        "DATE '2024-01-31' AS day, TIMESTAMP '2024-01-31 18:05:00' AS at, 'NaN'::float8 AS nan, "
        "ARRAY[1, NULL] AS list"
    ),
    "bigquery": (
        "SELECT CAST(NULL AS STRING) AS nothing, '' AS empty, "
        "'a\"b,c\\nd' AS quoted, true AS yes, "
        "CAST('12345678901234567890.10' AS NUMERIC) AS exact, 0.1 AS real, "
        "DATE '2024-01-31' AS day, DATETIME '2024-01-31 18:05:00' AS at"
    ),
}


@pytest.mark.parametrize("store", STORES)
def test_csv_tells_null_from_the_empty_text(stack: EmbeddedStack, store: str) -> None:
    done = ask(stack, "--store", store, VALUES[store])
    assert done.exit_code == 0, done.output
    _, line = done.stdout.split("\n", 1)
    assert line.startswith(
        ',"","a""b,c\nd",true,12345678901234567890.1'  # BigQuery's client drops the last zero
    )
    assert "0.1,2024-01-31,2024-01-31 18:05:00" in line


@pytest.mark.parametrize("store", STORES)
def test_json_is_an_array_with_one_object_a_line_and_null_is_null(
    stack: EmbeddedStack, store: str
) -> None:
    done = ask(stack, "--store", store, "--format", "json", VALUES[store])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout, parse_float=str)
    assert (row["nothing"], row["empty"], row["quoted"]) == (None, "", 'a"b,c\nd')
    assert row["yes"] is True
    assert row["exact"].startswith("12345678901234567890.1")
    assert (row["day"], row["at"]) == ("2024-01-31", "2024-01-31T18:05:00")
    if store == "postgres":
        assert (row["nan"], row["list"]) == ("nan", [1, None])
    three = ask(stack, "--format", "json", "SELECT n FROM generate_series(1, 3) n").stdout
    assert three == '[\n{"n": 1},\n{"n": 2},\n{"n": 3}\n]\n'
    assert ask(stack, "--format", "json", "SELECT 1 AS n LIMIT 0").stdout == "[]\n"


@pytest.mark.parametrize("store", STORES)
def test_parquet_has_the_types_of_the_store(
    stack: EmbeddedStack, store: str, tmp_path: Path
) -> None:
    path = tmp_path / "answer.parquet"
    done = ask(stack, "--store", store, "--output", str(path), VALUES[store])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"1 row written to {path}\n"
    table = pq.read_table(path)
    row: dict[str, Any] = table.to_pylist()[0]
    assert (row["nothing"], row["empty"], row["yes"]) == (None, "", True)
    assert (row["day"], row["at"]) == (
        date(2024, 1, 31),
        datetime.fromisoformat("2024-01-31T18:05"),
    )
    assert table.schema.field("real").type == pa.float64()
    assert float(row["exact"]) == 12345678901234567890.1
    assert list(tmp_path.iterdir()) == [path]


def test_files_have_all_rows_and_one_that_fails_leaves_the_earlier_file(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    many = "SELECT n, n * 0.5::float8 AS half FROM generate_series(1, 120000) n"
    for name in ("a.csv", "a.json", "a.parquet"):
        done = ask(stack, many, "--output", str(tmp_path / name))
        assert done.stdout == f"120,000 rows written to {tmp_path / name}\n"
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 120_001
    assert len(json.loads((tmp_path / "a.json").read_text())) == 120_000
    assert pq.read_table(tmp_path / "a.parquet")["half"][-1].as_py() == 60_000
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    fails = "SELECT 1 / (100000 - n) AS n FROM generate_series(1, 120000) n"
    for name in ("a.csv", "a.json", "a.parquet"):
        done = ask(stack, fails, "--output", str(tmp_path / name))
        assert done.exit_code == 1
        assert "division by zero" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_any_number_of_rows_takes_little_memory(stack: EmbeddedStack, tmp_path: Path) -> None:
    """The peak of a process that writes 300,000 rows, against one that writes ten."""
    measured = (
        "import resource, sys; from taxi_platform.cli.main import app; sys.argv[0] = 'x';"
        "\ntry: app()\nfinally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "
        "file=sys.stderr)"
    )

    def peak(rows: int, *arguments: str) -> int:
        statement = f"SELECT n, repeat('x', 100) AS t FROM generate_series(1, {rows}) n"
        with (tmp_path / "stdout").open("wb") as written:
            done = subprocess.run(
                [sys.executable, "-c", measured, "query", statement, *arguments],
                env=stack.environ(),
                stdout=written,
                stderr=subprocess.PIPE,
                check=True,
            )
        return int(done.stderr.split()[-1])

    parquet = ("--output", str(tmp_path / "a.parquet"))
    for arguments in ((), ("--format", "json"), parquet):
        assert peak(300_000, *arguments) < peak(10, *arguments) + 60_000  # KiB


def test_a_reader_that_has_seen_enough_ends_the_query_without_a_word(
    stack: EmbeddedStack,
) -> None:
    many = "SELECT n FROM generate_series(1, 100000000) n"
    done = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' query '{many}' | head -n 2"],
        env=stack.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("n\n1\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "parquet"], "--format parquet needs --output FILE"),
        (["--format", "table", "--output", "a.csv"], "--output takes no table"),
        (["--output", "a.xls"], "end its name in .csv, .json or .parquet, or give --format"),
        (["--output", "/nowhere/a.csv"], "there is no folder /nowhere"),
        (["--store", "gcs"], "--store is 'gcs': one of bigquery, postgres (TAXI_STORES)"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    stack: EmbeddedStack, arguments: list[str], said: str
) -> None:
    done = ask(stack, NARROW, *arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_no_file_is_not_replaced_by_one(stack: EmbeddedStack, tmp_path: Path) -> None:
    """As root one would replace /dev/null."""
    pipe = tmp_path / "answer.csv"
    os.mkfifo(pipe)
    done = ask(stack, NARROW, "--output", str(pipe))
    assert done.exit_code == 1
    assert "which is no file: give a file" in done.stderr
    assert pipe.is_fifo()


def test_two_columns_of_one_name_are_csv_and_no_object(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    twice = "SELECT 1 AS n, 2 AS n"
    assert ask(stack, twice).stdout == "n,n\n1,2\n"
    for arguments in (["--format", "json"], ["--output", str(tmp_path / "a.parquet")]):
        done = ask(stack, twice, *arguments)
        assert done.exit_code == 1
        assert "several columns n: name them apart with AS" in done.stderr
