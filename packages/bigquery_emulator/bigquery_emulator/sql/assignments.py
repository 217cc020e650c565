"""Values assigned to a table's columns: converted, or refused."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.clauses import ClauseTyper
from bigquery_emulator.sql.conversions import convert, is_constant
from bigquery_emulator.sql.projections import Columns
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import NULL, Type, conversion_cost, type_of_field
from bigquery_emulator.storage.catalog import Table
from bigquery_emulator.storage.column_types import Field, field_named


def column_named(table: Table, name: str) -> Field:
    """The table's column of that name.

    Raises:
        ApiError: it has none.
    """
    column = field_named(table.fields, name)
    if column is None:
        raise invalid_query(f"Column {name} is not present in table {table.name}")
    return column


def assign(typer: ClauseTyper, value: Any, column: Field) -> None:
    """Types a value and converts it, in its place, to a column's type.

    Raises:
        ApiError: it cannot be assigned to the column.
    """
    if isinstance(value, exp.Column) and value.name.upper() == "DEFAULT" and not value.table:
        value.replace(exp.Null())
        return
    if isinstance(value, exp.Var) and value.name.upper() == "DEFAULT":
        value.replace(exp.Null())
        return
    holder = exp.Paren()
    value.replace(holder)
    holder.set("this", value)
    kind = typer.type(value)
    wanted = type_of_field(column)
    if not _assignable(kind, wanted, constant=is_constant(holder.this)):
        raise invalid_query(
            f"Value has type {kind} which cannot be inserted into column {column['name']}, which "
            f"has type {wanted}"
        )
    convert(holder.this, wanted)


def assigned_query(query: Any, found: Columns, columns: list[Field]) -> None:
    """Checks the columns of an INSERT's query against those that they go to.

    Raises:
        ApiError: there are more or fewer, or one cannot be assigned.
    """
    if len(found) != len(columns):
        raise invalid_query(
            f"Inserted row has wrong column count; Has {len(found)}, expected {len(columns)}"
        )
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    for at, ((_, kind), column) in enumerate(zip(found, columns, strict=True)):
        wanted = type_of_field(column)
        value = inner.expressions[at].this if isinstance(inner, exp.Select) else None
        constant = value is not None and is_constant(value)
        if not _assignable(kind, wanted, constant=constant):
            raise invalid_query(
                f"Query column {at + 1} has type {kind} which cannot be inserted into column "
                f"{column['name']}, which has type {wanted}"
            )
        if constant and value is not None and type_of(value) not in (wanted, NULL):
            if inner.args.get("group") or inner.args.get("distinct"):
                raise unsupported("a constant of another type in an INSERT that groups")
            convert(value, wanted)


def _assignable(kind: Type, wanted: Type, *, constant: bool) -> bool:
    if kind.name == "ARRAY" and kind.element is None:
        return wanted.name == "ARRAY"
    return conversion_cost(kind, wanted, constant=constant) is not None
