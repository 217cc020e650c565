"""Names and constants that DuckDB would understand and BigQuery does not.

Checked only where the columns are known without doubt: in a statement with one SELECT over tables.
Elsewhere the emulator is more lenient than BigQuery, as it is with types that DuckDB converts.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from taxi_platform.local.bigquery.catalog import Table
from taxi_platform.local.bigquery.column_types import standard_name
from taxi_platform.local.bigquery.errors import invalid_query

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_NOT_TEXT = ("INTEGER", "FLOAT", "NUMERIC", "BOOLEAN")


def check_names(statement: exp.Expr, table_of: Callable[[exp.Table], Table | None]) -> None:
    """Refuses aliases used too early, and columns compared with a constant of another type.

    Args:
        statement: as it was parsed.
        table_of: finds the table that is named, or None if it is not one of the catalog.

    Raises:
        ApiError: BigQuery would refuse the statement.
    """
    if not isinstance(statement, exp.Select) or len(list(statement.find_all(exp.Select))) > 1:
        return
    types = _column_types(statement, table_of)
    if types is None:
        return
    early = [*statement.expressions, statement.args.get("where")]
    for clause in early:
        for column in clause.find_all(exp.Column) if clause else ():
            if not column.table and not column.is_star and column.name.lower() not in types:
                raise invalid_query(f"Unrecognized name: {column.name}")
    for comparison in statement.find_all(*_COMPARISONS):
        _check_comparison(comparison, types)


def _column_types(
    select: exp.Select, table_of: Callable[[exp.Table], Table | None]
) -> dict[str, str] | None:
    """The types of all that may be named, or None if that is not known; '' if only the type."""
    types: dict[str, str] = {}
    sources = [select.args.get("from_"), *(select.args.get("joins") or ())]
    for source in sources:
        node = source.this if source else None
        table = table_of(node) if isinstance(node, exp.Table) else None
        if table is None or node is None:
            return None
        types[node.alias_or_name.lower()] = ""
        for field in table.fields:
            name = field["name"].lower()
            kind = field["type"] if field["mode"] != "REPEATED" else ""
            # Two tables may have a column of the same name.
            types[name] = kind if types.get(name, kind) == kind else ""
    return types


def _check_comparison(comparison: exp.Expr, types: dict[str, str]) -> None:
    sides = (comparison.this, comparison.args["expression"])
    for column, constant in (sides, sides[::-1]):
        is_text = isinstance(constant, exp.Literal) and constant.is_string
        if not isinstance(column, exp.Column) or column.db or not is_text:
            continue
        kind = types.get(column.name.lower(), "")
        if kind in _NOT_TEXT:
            names = standard_name({"type": kind}), "STRING"
            raise invalid_query(
                f"No matching signature for operator {_SYMBOLS[type(comparison)]} for argument "
                f"types: {', '.join(names)}"
            )


_SYMBOLS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
