"""What the names in a query mean: range variables, their columns, and those of the queries around.

How a FROM clause fills a scope is in sources.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.sql.types import Type
from bigquery_emulator.sql.variables import Variables

_TYPE = "bigquery_type"


def type_of(node: exp.Expr | None) -> Type | None:
    """The type that the analysis found for an expression, or None if it did not look at it."""
    if node is None:
        return None
    kind: Type | None = node.meta.get(_TYPE)
    return kind


def set_type(node: exp.Expr, kind: Type) -> Type:
    """Notes the type of an expression in the tree."""
    node.meta[_TYPE] = kind
    return kind


@dataclass
class Source:
    """One item of a FROM clause.

    Attributes:
        name: of the range variable; empty if it has none.
        columns: their names and types, in order.
        value: the type of the range variable itself, if it is an element of an array.
    """

    name: str
    columns: list[tuple[str, Type]]
    value: Type | None = None
    hidden: set[str] = field(default_factory=set)

    def column(self, name: str) -> Type | None:
        """The type of the column of that name, or None if it has none."""
        return next((kind for own, kind in self.columns if own.lower() == name.lower()), None)

    @property
    def row(self) -> Type:
        """The type of the range variable as a value."""
        return self.value or Type("STRUCT", fields=tuple(self.columns))


@dataclass
class Scope:
    """The names that are in force in one SELECT.

    Attributes:
        sources: of its FROM clause.
        outer: the scope around, for a subquery that refers to it.
        common: the names of WITH clauses in force, with their columns.
        merged: the columns of USING, which belong to no single source.
        variables: of the script, in the outermost scope.
    """

    outer: Scope | None = None
    common: dict[str, list[tuple[str, Type]]] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Type] = field(default_factory=dict)
    variables: Variables = field(default_factory=Variables)

    def variable(self, name: str) -> exp.Expr | None:
        """What stands for a script's variable, or None if there is none of that name."""
        scope: Scope | None = self
        while scope is not None:
            if (found := scope.variables.reference(name)) is not None:
                return found
            scope = scope.outer
        return None

    def common_table(self, name: str) -> list[tuple[str, Type]] | None:
        """The columns of a WITH clause's name, or None if there is no such name."""
        found = self.common.get(name.lower())
        if found is None and self.outer is not None:
            return self.outer.common_table(name)
        return found

    def source(self, name: str) -> Source | None:
        """The source of that range variable, here or around."""
        for one in self.sources:
            if one.name.lower() == name.lower():
                return one
        return self.outer.source(name) if self.outer else None

    def own_source(self, name: str) -> Source | None:
        """The source of that range variable, here only."""
        return next((one for one in self.sources if one.name.lower() == name.lower()), None)

    def find(self, name: str) -> tuple[Source | None, Type] | None:
        """What a single name means: a column, else a range variable; here, else around.

        Returns:
            The source of the column and its type; no source for a range variable or a column of
            USING. None if the name means nothing.

        Raises:
            ApiError: two sources have such a column.
        """
        if name.lower() in self.merged:
            return None, self.merged[name.lower()]
        values = [one for one in self.sources if one.value and one.name.lower() == name.lower()]
        if values:  # a range variable hides columns
            return None, values[0].row
        found = [(one, kind) for one in self.sources if (kind := one.column(name))]
        if len(found) > 1:
            raise invalid_query(f"Column name {name} is ambiguous")
        if found:
            return found[0]
        fields = [
            (one, kind)
            for one in self.sources
            if one.value and one.value.name == "STRUCT" and (kind := one.value.field(name))
        ]
        if len(fields) > 1:
            raise invalid_query(f"Column name {name} is ambiguous")
        if fields:
            return fields[0]
        named = self.own_source(name)
        if named is not None:
            return None, named.row
        return self.outer.find(name) if self.outer else None
