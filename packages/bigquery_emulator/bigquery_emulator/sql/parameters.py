"""Query parameters: their values as DuckDB takes them, and their place in the SQL.

Values are always bound, as text that the SQL casts to the parameter's type; none is ever written
into the SQL.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid, invalid_query, unsupported
from bigquery_emulator.storage.column_types import Field, api_type, duckdb_type


@dataclass(frozen=True)
class Parameter:
    """A parameter's type, as the API has that of a column, and its value as it is bound."""

    field: Field
    value: Any


class QueryParameters:
    """The parameters of a query, by lower-case name or, as ``p0`` and on, by position."""

    def __init__(self, given: list[dict[str, Any]]) -> None:
        self._named = bool(given) and bool(given[0].get("name"))
        self._parameters: dict[str, Parameter] = {}
        for position, one in enumerate(given):
            if bool(one.get("name")) != self._named:
                raise invalid("Named and positional parameters cannot be mixed")
            name = one["name"].lower() if self._named else f"p{position}"
            kind, value = one.get("parameterType") or {}, one.get("parameterValue") or {}
            self._parameters[name] = _parameter(kind, value)
        self._used: dict[str, Any] = {}

    def reference(self, node: exp.Parameter | exp.Placeholder, position: int) -> exp.Expr:
        """What stands in DuckDB's SQL for a parameter.

        Raises:
            ApiError: the query has no such parameter.
        """
        if isinstance(node, exp.Parameter):
            name = str(node.name).lower()
            if not self._named or name not in self._parameters:
                raise invalid_query(f"Query parameter '{node.name}' not found")
        else:
            name = f"p{position}"
            if self._named or name not in self._parameters:
                raise invalid_query("Query parameter number mismatch")
        parameter = self._parameters[name]
        bound = f"q_{name}"
        self._used[bound] = parameter.value
        reference = exp.Cast(
            this=exp.Parameter(this=exp.Var(this=bound)),
            to=exp.DataType.build(duckdb_type(parameter.field), dialect="duckdb"),
        )
        # Marked, so that the cast is not taken for one of the query's own.
        reference.meta["bound"] = parameter.field
        return reference

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters that the query refers to."""
        return dict(self._used)


def _parameter(kind: dict[str, Any], value: dict[str, Any]) -> Parameter:
    name = str(kind.get("type") or "").upper()
    if name == "ARRAY":
        element = kind.get("arrayType") or {}
        items = value.get("arrayValues") or []
        values = [_scalar(element, item.get("value")) for item in items]
        return Parameter(_scalar_field(element) | {"mode": "REPEATED"}, values)
    return Parameter(_scalar_field(kind), _scalar(kind, value.get("value")))


def _scalar_field(kind: dict[str, Any]) -> Field:
    name = api_type(str(kind.get("type") or ""))
    if name == "RECORD":
        raise unsupported("STRUCT parameters")
    return {"name": "", "type": name, "mode": "NULLABLE"}


def _scalar(kind: dict[str, Any], value: str | None) -> Any:
    if value is None:
        return None
    if api_type(kind["type"]) == "BYTES":
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise invalid(f"Invalid value for a BYTES parameter: {error}") from error
    return str(value)
