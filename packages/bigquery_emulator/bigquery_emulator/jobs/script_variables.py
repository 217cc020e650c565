"""The variables of a script: DECLARE and SET, and what a query in a script gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.jobs.job import Job
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.duckdb_errors import raise_for_duckdb
from bigquery_emulator.sql.queries import query_columns
from bigquery_emulator.sql.types import BOOL, NULL, Type, conversion_cost, plain_type, type_of_node
from bigquery_emulator.sql.variables import Variable, Variables
from bigquery_emulator.storage.column_types import duckdb_type
from bigquery_emulator.storage.database import Storage
from bigquery_emulator.storage.type_limits import checked_limits, limited


@dataclass
class ScriptVariables:
    """The variables of one script that runs.

    Attributes:
        storage: the store.
        job: the script's.
        request: the script.
        values: the variables in force.
    """

    storage: Storage
    job: Job
    request: QueryRequest
    values: Variables = field(default_factory=Variables)

    def declare(self, statement: exp.Declare) -> list[str]:
        """Declares variables, and says which.

        Raises:
            ApiError: the statement is wrong, or not supported.
        """
        declared = []
        for item in statement.expressions:
            names = item.this if isinstance(item.this, list) else [item.this]
            kind = item.args.get("kind")
            default = item.args.get("default")
            default = default if isinstance(default, exp.Expr) else None
            wanted, limits = None, dict[str, str]()
            if isinstance(kind, exp.DataType):
                plain, limits = plain_type(kind)
                wanted = type_of_node(plain)
                limits = checked_limits({"name": "", "type": wanted.name} | limits)
            if wanted is None and default is None:
                raise invalid_query("DECLARE needs a type or a default")
            for name in names:
                if name.name.lower() in self.values:
                    raise invalid_query(f"Variable '{name.name}' redeclaration is not allowed")
                value = None
                if default is not None:
                    ((found, value),) = self.results_of(exp.select(default))
                    if wanted is None:
                        wanted = found
                    _check_assignable(name.name, found, wanted, default)
                variable = Variable(wanted or NULL, None, limits)
                self._assign(name.name, variable, value)
                declared.append(name.name.lower())
        return declared

    def set(self, statement: exp.Set) -> None:
        """Gives variables other values.

        Raises:
            ApiError: the statement is wrong, or not supported.
        """
        for item in statement.expressions:
            pair = item.this
            if not isinstance(pair, exp.EQ):
                raise unsupported("this SET")
            target, value = pair.this, pair.expression
            several = isinstance(target, exp.Tuple | exp.Paren)
            names = target.expressions if isinstance(target, exp.Tuple) else [target]
            query = exp.select(value.copy())
            if several and isinstance(value, exp.Subquery):
                query = value.this.copy()
                query.set("kind", None)
            elif isinstance(target, exp.Tuple):
                query = exp.select(*[one.copy() for one in value.expressions])
            found = self.results_of(query)
            if len(found) != len(names):
                raise invalid_query(f"SET of {len(names)} variables to {len(found)} values")
            for name, (kind, content) in zip(names, found, strict=True):
                own = name.unnest().name
                if own.lower() not in self.values:
                    raise invalid_query(f"Undeclared variable: {own}")
                variable = self.values[own.lower()]
                _check_assignable(own, kind, variable.kind, value)
                self._assign(own, variable, content)

    def is_true(self, condition: exp.Expr, name: str) -> bool:
        """Whether a condition of the script holds; NULL does not.

        Raises:
            ApiError: it is not of the type BOOL.
        """
        ((kind, value),) = self.results_of(condition)
        if kind not in (BOOL, NULL):
            raise invalid_query(f"{name} condition should return type BOOL, but returns {kind}")
        return bool(value)

    def results_of(self, query: Any) -> list[tuple[Type, Any]]:
        """The types and values of a query of at most one row."""
        one = replace(self.request, statement=query, script=(), variables=self.values)
        with self.request.reading(self.storage) as cursor:
            translation = Translation(cursor, one, self.job.name.location)
            columns = query_columns(translation.statement)
            selected = ", ".join(
                f"CAST(#{at} AS VARCHAR{'[]' if kind.name == 'ARRAY' else ''})"
                if "TIMESTAMP" in str(kind)
                else f"#{at}"
                for at, (_, kind) in enumerate(columns, start=1)
            )
            sql = translation.sql(translation.statement)
            rows = translation.execute(f"SELECT {selected} FROM ({sql})").fetchmany(2)  # noqa: S608
        if len(rows) > 1:
            raise invalid_query("Scalar subquery produced more than one element")
        values = rows[0] if rows else [None] * len(columns)
        return [(kind, value) for (_, kind), value in zip(columns, values, strict=True)]

    def _assign(self, name: str, variable: Variable, value: Any) -> None:
        """Keeps a value, within the limits of the variable's type."""
        if variable.limits:
            column = {"name": name, "type": variable.kind.name, **variable.limits}
            given = f"CAST($value AS {duckdb_type(column)})"
            try:
                kept = self.storage.cursor().execute(
                    f"SELECT {limited(given, column)}", {"value": value}
                )
                row = kept.fetchone()
            except duckdb.Error as error:
                raise_for_duckdb(error)
            value = row[0] if row else None
        self.values[name.lower()] = replace(variable, value=value)


def _check_assignable(name: str, kind: Type, wanted: Type, value: exp.Expr) -> None:
    if "STRUCT" in str(wanted):
        raise unsupported("variables of the type STRUCT")
    constant = isinstance(value, exp.Literal)
    if conversion_cost(kind, wanted, constant=constant) is None:
        raise invalid_query(f"Cannot coerce expression of type {kind} to type {wanted} of {name}")
