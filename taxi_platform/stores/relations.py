"""Relations in a query's SQL: a WITH clause of those that it names."""

import re
from collections.abc import Mapping

from taxi_platform.stores.base import Relation


def named_in(name: str, statement: str) -> bool:
    """Whether a statement reads a relation."""
    return re.search(rf"\b(?:FROM|JOIN)\s+{re.escape(name)}\b(?!\.)", statement) is not None


def select_list(expressions: Mapping[str, str]) -> str:
    """What a SELECT chooses: expressions by the names of their columns."""
    return ", ".join(
        name if name == expression else f"{expression} AS {name}"
        for name, expression in expressions.items()
    )


def with_clause(relations: Mapping[str, Relation], statement: str) -> str:
    """A statement after the relations that it names, and those that they name.

    Args:
        relations: all there are. One may name those before it.
        statement: a SELECT.
    """
    needed: dict[str, str] = {}
    texts = [statement]
    for name, relation in reversed(list(relations.items())):
        if any(named_in(name, text) for text in texts):
            needed[name] = relation.sql
            texts.append(relation.sql)
    if not needed:
        return statement
    named = ", ".join(f"{name} AS ({sql})" for name, sql in reversed(list(needed.items())))
    return f"WITH {named} {statement.strip()}"
