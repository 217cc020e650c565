"""BigQuery's types, and which of them become which without a cast.

The rules are those of GoogleSQL's "Conversion rules". What functions and operators take is in
signatures.py; how DuckDB and the API name types, in storage/column_types.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.storage.column_types import Field, api_type, duckdb_type

_SYNONYMS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_API_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


@dataclass(frozen=True)
class Type:
    """A type of GoogleSQL.

    Attributes:
        name: such as ``INT64``; ``NULL`` is that of a bare NULL, which becomes any other.
        element: of an ARRAY; None if it is not known, as of ``[]``.
        fields: of a STRUCT, in their order; a name may be empty.
    """

    name: str
    element: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()

    def __str__(self) -> str:
        if self.name == "ARRAY":
            return f"ARRAY<{self.element or 'INT64'}>"
        if self.name == "STRUCT":
            parts = (f"{name} {kind}".strip() for name, kind in self.fields)
            return f"STRUCT<{', '.join(parts)}>"
        return "INT64" if self.name == "NULL" else self.name

    def field(self, name: str) -> Type | None:
        """The type of a STRUCT's field, or None if it has no such field."""
        return next((kind for own, kind in self.fields if own.lower() == name.lower()), None)

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self.name in NUMBERS


INT64, FLOAT64, NUMERIC = Type("INT64"), Type("FLOAT64"), Type("NUMERIC")
STRING, BYTES, BOOL = Type("STRING"), Type("BYTES"), Type("BOOL")
DATE, DATETIME, TIMESTAMP, TIME = Type("DATE"), Type("DATETIME"), Type("TIMESTAMP"), Type("TIME")
INTERVAL, JSON, NULL = Type("INTERVAL"), Type("JSON"), Type("NULL")
_DECIMALS = (exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL)
NUMBERS = ("INT64", "NUMERIC", "FLOAT64")

# What any value of a type becomes, and how far that is; and what only a constant becomes.
_COERCED: dict[str, dict[str, int]] = {
    "INT64": {"FLOAT64": 1, "NUMERIC": 2},
    "NUMERIC": {"FLOAT64": 4},
    "DATE": {"DATETIME": 1},
}
_CONSTANTS: dict[str, dict[str, int]] = {
    "FLOAT64": {"NUMERIC": 5},
    "STRING": {"DATE": 5, "DATETIME": 6, "TIMESTAMP": 7, "TIME": 8},
}


def array_of(element: Type | None) -> Type:
    """The type of an array."""
    return Type("ARRAY", element=element)


def conversion_cost(given: Type, wanted: Type, *, constant: bool = False) -> int | None:
    """How far a value is from a type: 0 if it has it, None if it does not become it.

    Args:
        given: the value's type.
        wanted: the type.
        constant: whether the value is a literal or a parameter, which become more.
    """
    if given == wanted:
        return 0
    if given.name == "NULL":
        return 1
    if given.name == wanted.name == "ARRAY":
        if given.element is None or wanted.element is None:
            return 1
        inner = conversion_cost(given.element, wanted.element, constant=constant)
        return inner if constant or inner == 0 else None
    if given.name == wanted.name == "STRUCT":
        return _struct_cost(given, wanted, constant=constant)
    near = _COERCED.get(given.name, {})
    return near.get(wanted.name) or (
        _CONSTANTS.get(given.name, {}).get(wanted.name) if constant else None
    )


def _struct_cost(given: Type, wanted: Type, *, constant: bool) -> int | None:
    if len(given.fields) != len(wanted.fields):
        return None
    costs = [
        conversion_cost(one, other, constant=constant)
        for (_, one), (_, other) in zip(given.fields, wanted.fields, strict=True)
    ]
    return None if None in costs else max([1, *(cost for cost in costs if cost is not None)])


def supertype(values: Iterable[tuple[Type, bool]]) -> Type | None:
    """The type that all values become, as in CASE and UNION; None if there is none.

    Args:
        values: their types, and whether each is a constant.
    """
    given = list(values)
    typed = [(kind, constant) for kind, constant in given if kind.name != "NULL"]
    if not typed:
        return given[0][0] if given else NULL
    if all(kind.name == "STRUCT" for kind, _ in typed):
        return _struct_supertype(typed)
    candidates = [kind for kind, constant in typed if not constant]
    candidates += [kind for kind, constant in typed if constant]
    wider = [Type(name) for kind in candidates for name in _COERCED.get(kind.name, {})]
    for candidate in [*candidates, *wider]:
        if all(
            conversion_cost(kind, candidate, constant=constant) is not None
            for kind, constant in typed
        ):
            return candidate
    return None


def _struct_supertype(typed: list[tuple[Type, bool]]) -> Type | None:
    """STRUCTs become one field by field, with the names of the first."""
    first = typed[0][0]
    if any(len(kind.fields) != len(first.fields) for kind, _ in typed):
        return None
    fields = []
    for position, (name, _) in enumerate(first.fields):
        common = supertype((kind.fields[position][1], constant) for kind, constant in typed)
        if common is None:
            return None
        fields.append((name, common))
    return Type("STRUCT", fields=tuple(fields))


def type_of_field(field: Field) -> Type:
    """The type of one of the API's columns."""
    name = _SYNONYMS.get(str(field["type"]), str(field["type"]))
    parts = tuple((str(part["name"]), type_of_field(part)) for part in field.get("fields", ()))
    kind = Type(name, fields=parts)
    return array_of(kind) if field.get("mode") == "REPEATED" else kind


def stored_name(name: str, at: int) -> str:
    """The name of a STRUCT's field, the first at 1; one without a name has that of its place."""
    return name or f"_field_{at}"


def field_of_type(name: str, kind: Type) -> Field:
    """The API's column for a type.

    Raises:
        ApiError: a column cannot have it.
    """
    if kind.name == "ARRAY":
        return field_of_type(name, kind.element or INT64) | {"mode": "REPEATED"}
    if kind.name == "STRUCT":
        names = [stored_name(own, at) for at, (own, _) in enumerate(kind.fields, start=1)]
        fields = [field_of_type(own, one[1]) for own, one in zip(names, kind.fields, strict=True)]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": fields}
    if kind.name == "INTERVAL":
        raise unsupported("INTERVAL values in results")
    return {"name": name, "type": _API_NAMES.get(str(kind), str(kind)), "mode": "NULLABLE"}


def type_of_node(node: exp.DataType) -> Type:
    """The type that a query names.

    Raises:
        ApiError: there is no such type, or it is not supported.
    """
    if node.is_type(exp.DataType.Type.ARRAY):
        return array_of(type_of_node(node.expressions[0])) if node.expressions else array_of(None)
    if node.is_type(exp.DataType.Type.STRUCT):
        return Type("STRUCT", fields=tuple(map(_declared_part, node.expressions)))
    if node.expressions:
        raise unsupported("parameterized types within other types here")
    name = api_type(node.sql("bigquery"))
    return Type(_SYNONYMS.get(name, name))


def plain_type(node: exp.DataType) -> tuple[exp.DataType, dict[str, str]]:
    """A type without its limits, and the limits as a column of the API has them.

    Raises:
        ApiError: there are too many, or one is no whole number.
    """
    given = [one.this for one in node.expressions if isinstance(one, exp.DataTypeParam)]
    if not given or len(given) != len(node.expressions):
        return node, {}
    if not all(isinstance(one, exp.Literal) and one.is_int for one in given):
        raise invalid_query("Type parameters must be whole numbers")
    names = ("precision", "scale") if node.is_type(*_DECIMALS) else ("maxLength",)
    plain = node.copy()
    plain.set("expressions", [])
    if len(given) > len(names):
        raise invalid_query(f"Type {plain.sql('bigquery')} has too many parameters")
    return plain, {name: str(one.this) for name, one in zip(names, given, strict=False)}


def _declared_part(node: Any) -> tuple[str, Type]:
    if isinstance(node, exp.ColumnDef):
        return node.name, type_of_node(node.args["kind"])
    return "", type_of_node(node)


def node_of_type(kind: Type) -> exp.DataType:
    """The type as a query would name it."""
    return exp.DataType.build(str(kind), dialect="bigquery")


def duckdb_name(kind: Type) -> exp.DataType:
    """The DuckDB type that holds values of a type."""
    return exp.DataType.build(duckdb_type(field_of_type("x", kind)), dialect="duckdb")
