"""Names in expressions, written as columns of their range variables and fields of STRUCTs."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.scopes import Scope, set_type
from bigquery_emulator.sql.types import Type, type_of_field


class Names:
    """Finds what names mean in a scope.

    Args:
        scope: the names in force.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def _column(self, node: exp.Column) -> Type:
        if isinstance(node.this, exp.Star):
            raise invalid_query("Argument * can only be used in COUNT(*)")
        parts = [one.name for one in node.parts]
        base, kind, rest = self._base(parts)
        new: exp.Expr = set_typed(base, kind)
        for name in rest:
            new, kind = field_access(new, kind, name)
        node.replace(new)
        return kind

    def _base(self, parts: list[str]) -> tuple[exp.Expr, Type, list[str]]:
        """The column that a path begins with, its type, and the fields that follow."""
        first = parts[0]
        if len(parts) > 1 and (source := self._source_of(first)) is not None:
            kind = source.column(parts[1])
            if source.value is not None and kind is None:
                value = exp.column(source.name, table=source.name, quoted=True)
                return value, source.value, parts[1:]
            if kind is None:
                raise invalid_query(f"Name {parts[1]} not found inside {first}")
            return exp.column(parts[1], table=source.name, quoted=True), kind, parts[2:]
        found = self.scope.find(first)
        if found is None:
            variable = self.scope.variable(first)
            if variable is None:
                raise invalid_query(f"Unrecognized name: {first}")
            return variable, type_of_field(variable.meta["bound"]), parts[1:]
        source, kind = found
        if source is not None and source.value is not None and source.column(first) is None:
            value = exp.column(source.name, table=source.name, quoted=True)
            return set_typed(value, source.value), source.value, parts
        if source is not None:
            return exp.column(first, table=source.name, quoted=True), kind, parts[1:]
        if (named := self.scope.source(first)) is not None and named.row == kind:
            if named.value is None:
                raise unsupported("a whole row of a table as a value")
            return exp.column(named.name, table=named.name, quoted=True), kind, parts[1:]
        return exp.column(first, quoted=True), kind, parts[1:]

    def _source_of(self, name: str) -> Any:
        """The range variable that a path begins with; a column of that name nearer hides it."""
        scope: Scope | None = self.scope
        while scope is not None:
            if (own := scope.own_source(name)) is not None:
                return own
            if any(one.column(name) for one in scope.sources) or name.lower() in scope.merged:
                return None
            scope = scope.outer
        return None


def set_typed(node: exp.Expr, kind: Type) -> exp.Expr:
    """The expression, with its type noted."""
    set_type(node, kind)
    return node


def field_access(value: exp.Expr, kind: Type, name: str) -> tuple[exp.Expr, Type]:
    """A field of a STRUCT's value, and its type.

    Raises:
        ApiError: it is not one, or has no such field.
    """
    if kind.name != "STRUCT":
        raise invalid_query(f"Cannot access field {name} on a value with type {kind}")
    found = kind.field(name)
    if found is None:
        raise invalid_query(f"Field name {name} does not exist in {kind}")
    new = exp.Dot(this=value, expression=exp.to_identifier(name, quoted=True))
    return set_typed(new, found), found
