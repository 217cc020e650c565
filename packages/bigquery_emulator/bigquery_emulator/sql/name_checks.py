"""Aliases that DuckDB would understand and BigQuery does not.

Checked only where the columns are known without doubt: in a statement with one SELECT over tables.
Elsewhere the emulator is more lenient than BigQuery. Types are checked in type_checks.py.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.storage.catalog import Table


def check_names(statement: exp.Expr, table_of: Callable[[exp.Table], Table | None]) -> None:
    """Refuses aliases that are used too early.

    Args:
        statement: as it was parsed.
        table_of: finds the table that is named, or None if it is not one of the catalog.

    Raises:
        ApiError: BigQuery would refuse the statement.
    """
    if not isinstance(statement, exp.Select) or len(list(statement.find_all(exp.Select))) > 1:
        return
    names = _names_of(statement, table_of)
    if names is None:
        return
    early = [*statement.expressions, statement.args.get("where")]
    for clause in early:
        for column in clause.find_all(exp.Column) if clause else ():
            if not column.table and not column.is_star and column.name.lower() not in names:
                raise invalid_query(f"Unrecognized name: {column.name}")


def _names_of(select: exp.Select, table_of: Callable[[exp.Table], Table | None]) -> set[str] | None:
    """All that may be named, in lower case, or None if that is not known."""
    names: set[str] = set()
    sources = [select.args.get("from_"), *(select.args.get("joins") or ())]
    for source in sources:
        node = source.this if source else None
        table = table_of(node) if isinstance(node, exp.Table) else None
        if table is None or node is None:
            return None
        names.add(node.alias_or_name.lower())
        names |= {field["name"].lower() for field in table.fields}
    return names
