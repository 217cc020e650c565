"""SQL put together at random by SQLGlot: every one is answered, or refused in plain words."""

import json
import logging
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from bigquery_emulator.errors import ApiError
from tests.engine import Engine

pytestmark = pytest.mark.slow

ANSWERS = Path(__file__).parent / "answers"
QUERIES = 400
# The words of DuckDB, of Python and of SQLGlot's errors.
FOREIGN = re.compile(
    r"DuckDB|Binder|Catalog Error|LINE \d|Candidate|VARCHAR|BIGINT|Traceback|sqlglot|object has no|"
    r"TokenType"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("fuzzing"))
    yield made
    made.close()


def trees() -> list[exp.Expr]:
    """The queries of the documentation's examples, as trees."""
    text = (ANSWERS / "documentation.jsonl").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        sql = json.loads(line)["sql"]
        # A WITH RECURSIVE that is mixed up may have no end.
        if len(sql) < 300 and "RECURSIVE" not in sql:
            found.append(sqlglot.parse_one(sql, read="bigquery"))
    return found


def mixed(chance: random.Random, known: list[exp.Expr]) -> str:
    """One query with some of its expressions exchanged for those of others."""
    tree = chance.choice(known).copy()
    for _ in range(chance.randint(1, 3)):
        places = [node for node in tree.walk() if replaceable(node)]
        others = [node for node in chance.choice(known).walk() if replaceable(node)]
        if places and others:
            chance.choice(places).replace(chance.choice(others).copy())
    return tree.sql("bigquery")


def replaceable(node: exp.Expr) -> bool:
    """Whether a node is an expression in a place where any other may be."""
    if isinstance(node, exp.Identifier | exp.Var | exp.DataType | exp.Query | exp.TableAlias):
        return False
    value = isinstance(node, exp.Condition | exp.Func)
    return value and node.parent is not None and not isinstance(node.parent, exp.DataType)


def refusal(engine: Engine, sql: str) -> tuple[str, str, str] | None:
    """A query, and why it is not answered; None if it is."""
    try:
        engine.answer(sql)
    except ApiError as error:
        return sql, error.reason, error.message
    return None


def test_no_query_is_answered_by_a_traceback(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    chance, known = random.Random(20241103), trees()  # noqa: S311 - not for secrets
    caplog.set_level(logging.CRITICAL)

    errors = [error for _ in range(QUERIES) if (error := refusal(engine, mixed(chance, known)))]

    assert QUERIES / 10 < len(errors) < QUERIES * 9 / 10
    for sql, reason, message in errors:
        assert reason in ("invalidQuery", "notFound", "notImplemented"), (sql, reason)
        assert not FOREIGN.search(message), (sql, message)
        assert "which it does not understand" not in message, sql
