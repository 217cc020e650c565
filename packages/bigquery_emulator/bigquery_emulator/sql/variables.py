"""The variables of a script, and what stands in DuckDB's SQL for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from bigquery_emulator.sql.types import Type, field_of_type
from bigquery_emulator.storage.column_types import duckdb_type


@dataclass(frozen=True)
class Variable:
    """A variable's type, its value as DuckDB takes it for a parameter, and the type's limits."""

    kind: Type
    value: Any
    limits: dict[str, str] = field(default_factory=dict)


class Variables(dict[str, Variable]):
    """Variables by lower-case name."""

    def copy(self) -> Variables:
        """Another set of the same variables."""
        return Variables(self)

    def reference(self, name: str) -> exp.Expr | None:
        """What stands for a variable, or None if there is none of that name."""
        variable = self.get(name.lower())
        if variable is None:
            return None
        column = field_of_type("", variable.kind)
        reference = exp.Cast(
            this=exp.Parameter(this=exp.Var(this=f"v_{name.lower()}")),
            to=exp.DataType.build(duckdb_type(column), dialect="duckdb"),
        )
        reference.meta["bound"] = column
        return reference

    def bound(self, sql: str) -> dict[str, Any]:
        """The values of the variables that DuckDB's SQL refers to."""
        return {f"v_{name}": one.value for name, one in self.items() if f"$v_{name}" in sql.lower()}
