"""Hundreds of queries with the answers that their sources give: right, or 501."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bigquery_emulator.errors import ApiError
from tests.engine import Engine

pytestmark = pytest.mark.slow

ANSWERS = Path(__file__).parent / "answers"
# What must stay right; it may only grow.
LEAST_RIGHT = {"analysts": 226, "documentation": 287, "compliance": 494}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("engine"))
    yield made
    made.close()


def table(path: Path) -> list[dict[str, Any]]:
    """The entries of one file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def comparable(cell: str) -> str:
    """A cell without what sources write in several ways: quotes, zeros, the case of words."""
    cell = re.sub(r"\s+", " ", cell.replace('"', "").replace("'", "")).strip()
    if cell.lower() in ("nan", "true", "false", "null", "inf", "-inf", "+inf"):
        return cell.lower().lstrip("+")
    try:
        return f"{float(cell):.9g}"
    except ValueError:
        pass
    return re.sub(r"(\d\d:\d\d:\d\d)\.(\d*?)0+\b", r"\1.\2", cell).replace(".+", "+").rstrip(".")


def verdict(engine: Engine, entry: dict[str, Any]) -> str:
    """How a query was answered: right, wrong, refused, or 501."""
    try:
        rows = engine.answer(entry["sql"])
    except ApiError as error:
        if error.reason == "notImplemented":
            return "501"
        return "right" if entry.get("error") else f"refused: {error.message}"
    if entry.get("error"):
        return f"not refused: {rows}"
    found = sorted([comparable(cell) for cell in row] for row in rows)
    expected = sorted([comparable(cell) for cell in row] for row in entry["rows"])
    return "right" if found == expected else f"wrong: {rows}"


@pytest.mark.parametrize("name", sorted(LEAST_RIGHT))
def test_every_answer_is_right_or_501(
    engine: Engine, name: str, record_property: Callable[[str, object], None]
) -> None:
    entries = table(ANSWERS / f"{name}.jsonl")

    verdicts = [verdict(engine, entry) for entry in entries]

    counts = Counter(verdict.partition(":")[0] for verdict in verdicts)
    shares = ", ".join(f"{n / len(entries):.0%} {kind}" for kind, n in sorted(counts.items()))
    # Printed at the end of the run: see conftest.py.
    record_property("share", f"{name}: {len(entries)} queries: {shares}")
    wrong = [
        f"{entry['source']}: {entry['sql']}\n    expected {entry.get('rows')}, {verdict}"
        for entry, verdict in zip(entries, verdicts, strict=True)
        if verdict not in ("right", "501")
    ]
    assert not wrong, "\n".join(wrong)
    assert counts["right"] >= LEAST_RIGHT[name]


def test_the_table_is_large_enough() -> None:
    entries = [entry for path in ANSWERS.glob("*.jsonl") for entry in table(path)]

    assert len(entries) >= 600
    assert all(entry["source"] for entry in entries)
