"""Values converted in the tree: the casts that BigQuery makes without being asked.

Which types convert is decided in types.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.signatures import Argument
from bigquery_emulator.sql.types import NULL, STRING, Type, array_of, node_of_type, supertype

# Marks a cast between ARRAYs and STRUCTs that DuckDB's own CAST makes.
NATIVE = "native_cast"


def is_constant(node: exp.Expr) -> bool:
    """Whether a value is a literal or a parameter, which convert to more types."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg):
        return isinstance(node.this, exp.Literal)
    if isinstance(node, exp.Array | exp.Struct | exp.Tuple):
        return all(is_constant(_value(one)) for one in node.expressions)
    return isinstance(node, exp.Literal) or bool(node.meta.get("bound"))


def _value(node: exp.Expr) -> exp.Expr:
    return node.expression if isinstance(node, exp.PropertyEQ) else node


def argument(node: exp.Expr) -> Argument:
    """An expression as an argument of a function."""
    return Argument(type_of(node) or NULL, is_constant(node))


def common_type(nodes: Sequence[exp.Expr], more: Iterable[tuple[Type, bool]] = ()) -> Type | None:
    """The type that all these become, or None."""
    given = [(one.kind, one.constant) for one in map(argument, nodes)]
    return supertype([*given, *more])


def convert(node: exp.Expr, wanted: Type) -> None:
    """Converts an expression, in its place, to a type that it converts to."""
    have = type_of(node)
    if have is None or have == wanted or wanted.name == "NULL" or have.name == "NULL":
        return
    if wanted.name in ("ARRAY", "STRUCT"):
        _convert_nested(node, have, wanted)
        return
    if isinstance(node, exp.Literal) and not node.is_string and wanted.name == "NUMERIC":
        # From its text, which is exact.
        text = exp.Literal.string(node.this)
        set_type(text, STRING)
        node = node.replace(text)
    new = wrap(node, lambda inner: exp.Cast(this=inner, to=node_of_type(wanted)), wanted)
    if have.is_number and wanted.is_number:
        new.meta[NATIVE] = True


def wrap(node: exp.Expr, make: Any, kind: Type) -> exp.Expr:
    """Puts an expression into a new one that takes its place."""
    holder = exp.Null()
    node.replace(holder)
    new: exp.Expr = make(node)
    set_type(new, kind)
    holder.replace(new)
    return new


def _convert_nested(node: exp.Expr, have: Type, wanted: Type) -> None:
    inner: Any = node
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Array) and wanted.element and not _is_query(inner):
        for one in list(inner.expressions):
            convert(one, wanted.element)
        set_type(node, wanted)
        set_type(inner, wanted)
    elif isinstance(inner, exp.Struct) and wanted.name == "STRUCT":
        for one, (name, kind) in zip(list(inner.expressions), wanted.fields, strict=True):
            one.set("this", exp.to_identifier(name, quoted=True))
            convert(one.expression, kind)
        set_type(node, wanted)
        set_type(inner, wanted)
    elif have.name == "ARRAY" and (have.element is None or wanted.element is None):
        return
    elif _same_names(have, wanted):
        new = wrap(node, lambda one: exp.Cast(this=one, to=node_of_type(wanted)), wanted)
        new.meta[NATIVE] = True
    else:
        raise unsupported(f"the conversion of {have} to {wanted}")


def _is_query(array: exp.Array) -> bool:
    return bool(array.expressions) and isinstance(array.expressions[0], exp.Query)


def _same_names(have: Type, wanted: Type) -> bool:
    if have.name == "ARRAY" and wanted.name == "ARRAY":
        return _same_names(have.element or NULL, wanted.element or NULL)
    names = [[name.lower() for name, _ in one.fields] for one in (have, wanted)]
    return names[0] == names[1] and all(names[0])


def empty_array(element: Type | None) -> Type:
    """The type of an array with elements of a type; of ``[]`` it is not known."""
    return array_of(None if element is None or element.name == "NULL" else element)
