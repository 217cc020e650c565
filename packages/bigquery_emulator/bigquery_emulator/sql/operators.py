"""The types of operators: comparisons, arithmetic, IN, LIKE, CASE.

Functions of names are typed by their signatures, in expressions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.conversions import argument, common_type, convert
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.signatures import no_signature, resolved
from bigquery_emulator.sql.types import BOOL, DATE, DATETIME, FLOAT64, NULL, Type

COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}
ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_ORDERINGS = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_ORDERING_NAMES = {">": "Greater than", ">=": "Greater than", "<": "Less than", "<=": "Less than"}
_UNORDERED = ("ARRAY", "STRUCT", "JSON")
_NUMBERS = "INT64, INT64 -> INT64 | NUMERIC, NUMERIC -> NUMERIC | FLOAT64, FLOAT64 -> FLOAT64"
_QUOTIENT = "FLOAT64, FLOAT64 -> FLOAT64 | NUMERIC, NUMERIC -> NUMERIC"
_MOVED = ("DATE", "DATETIME", "TIMESTAMP", "TIME")


def compared(operator: str, sides: Sequence[exp.Expr]) -> None:
    """Converts what is compared to one type.

    Raises:
        ApiError: the values cannot be compared.
    """
    common = common_type(sides)
    if common is None:
        raise no_signature(operator, [argument(one) for one in sides], operator=True)
    check_comparable(common, operator)
    for one in sides:
        convert(one, common)


def check_comparable(kind: Type, operator: str) -> None:
    """Refuses comparisons of a type that has none.

    Raises:
        ApiError: it has none, or one that is not supported.
    """
    ordering = _ORDERING_NAMES.get(operator)
    if kind.name == "ARRAY" or kind.name == "JSON" or (ordering and kind.name in _UNORDERED):
        what = ordering or "Equality"
        raise invalid_query(f"{what} is not defined for arguments of type {kind}")
    if kind.name == "STRUCT":
        raise unsupported("comparisons of STRUCTs")


def comparison_type(node: Any) -> Type:
    """The type of a comparison whose sides have their types."""
    compared(COMPARISONS[type(node)], [node.this, node.expression])
    return BOOL


def between_type(node: Any) -> Type:
    """The type of a BETWEEN."""
    compared("BETWEEN", [node.this, node.args["low"], node.args["high"]])
    check_comparable(type_of(node.this) or NULL, ">=")
    return BOOL


def in_type(node: exp.In) -> Type:
    """The type of an IN with a list or an array; the columns of its query have their types."""
    unnested, query = node.args.get("unnest"), node.args.get("query")
    if unnested:
        array = unnested.expressions[0]
        kind = type_of(array) or NULL
        if kind.name not in ("ARRAY", "NULL"):
            raise invalid_query(f"Values referenced in UNNEST must be arrays, not {kind}")
        given = argument(node.this)
        element = kind.element or given.kind
        constant = isinstance(array, exp.Array) or argument(array).constant
        common = common_type([node.this], [(element, constant)])
        if common is None:
            raise _no_in(given.kind, kind)
        check_comparable(common, "IN")
        convert(node.this, common)
        convert(array, Type("ARRAY", element=common))
    elif query:
        found = type_of(query) or NULL
        common = common_type([node.this], [(found, False)])
        if common is None:
            raise _no_in(argument(node.this).kind, found)
        check_comparable(common, "IN")
        if common != found and found.name != "NULL":
            raise unsupported(f"IN with a query of {found}, which become {common}")
        convert(node.this, common)
    else:
        compared("IN", [node.this, *node.expressions])
    return BOOL


def _no_in(left: Type, right: Type) -> Exception:
    return invalid_query(
        f"No matching signature for operator IN for argument types: {left}, {right}"
    )


def arithmetic_type(node: Any) -> Type:
    """The type of an arithmetic operation, and of moving a date or time."""
    operator = ARITHMETIC[type(node)]
    left, right = type_of(node.left) or NULL, type_of(node.right) or NULL
    if operator in "+-":
        moved = _moved(node, operator, left, right)
        if moved is not None:
            return moved
    signatures = _QUOTIENT if operator == "/" else _NUMBERS
    given = [argument(node.left), argument(node.right)]
    wanted, result = resolved(operator, signatures, given, operator=True)
    if result.name == "NUMERIC" and operator == "/":
        raise unsupported("division of NUMERIC values")
    convert(node.left, wanted[0])
    convert(node.right, wanted[1])
    return result


def _moved(node: Any, operator: str, left: Type, right: Type) -> Type | None:
    if operator == "+" and left.name in ("INT64", "INTERVAL") and right.name in _MOVED:
        sides = node.left, node.right
        node.set("this", sides[1])
        node.set("expression", sides[0])
        left, right = right, left
    if left.name == right.name and left.name in ("DATE", "DATETIME", "TIMESTAMP"):
        if operator == "-":
            raise unsupported(f"differences of {left}s as INTERVAL; use {left}_DIFF")
        return None
    if left.name == "DATE" and right.name == "INT64":
        return DATE
    if left.name in _MOVED and right.name == "INTERVAL" and left.name != "TIME":
        return DATETIME if left == DATE else left
    if "INTERVAL" in (left.name, right.name):
        raise unsupported("arithmetic of INTERVALs")
    return None


def negated_type(node: exp.Neg) -> Type:
    """The type of a minus sign."""
    given = argument(node.this)
    if given.kind.name == "INTERVAL":
        raise unsupported("arithmetic of INTERVALs")
    _, result = resolved(
        "-",
        "INT64 -> INT64 | NUMERIC -> NUMERIC | FLOAT64 -> FLOAT64",
        [given],
        operator=True,
    )
    return result


def logical_type(node: exp.Expr) -> Type:
    """The type of AND, OR and NOT."""
    for side in (node.this, node.args.get("expression")):
        if side is not None and type_of(side) not in (BOOL, NULL, None):
            given = [argument(one) for one in (node.this, node.args.get("expression")) if one]
            raise no_signature(node.key.upper(), given, operator=True)
    return BOOL


def is_type(node: exp.Is) -> Type:
    """The type of IS NULL, IS TRUE and IS FALSE."""
    if isinstance(node.expression, exp.Boolean) and type_of(node.this) not in (BOOL, NULL):
        given = [argument(node.this)]
        raise no_signature(f"IS {node.expression.sql('bigquery')}", given, operator=True)
    return BOOL


def case_type(node: exp.Case) -> Type:
    """The type of a CASE."""
    branches = [one.args["true"] for one in node.args["ifs"]]
    if node.args.get("default") is not None:
        branches.append(node.args["default"])
    conditions = [one.this for one in node.args["ifs"]]
    if node.this is not None:
        compared("=", [node.this, *conditions])
    else:
        for one in conditions:
            if type_of(one) not in (BOOL, NULL):
                raise invalid_query(f"CASE WHEN clause must be BOOL, not {type_of(one)}")
    common = common_type(branches)
    if common is None:
        raise no_signature("CASE", [argument(one) for one in branches], operator=True)
    for one in branches:
        convert(one, common)
    return common


def orderable(node: exp.Expr, what: str) -> None:
    """Refuses to order by a type that has no order.

    Raises:
        ApiError: it has none.
    """
    kind = type_of(node)
    if kind is not None and kind.name in _UNORDERED:
        raise invalid_query(f"{what} does not support expressions of type {kind}")


def is_float(node: exp.Expr | None) -> bool:
    """Whether an expression has the type FLOAT64, so that it may be NaN."""
    return type_of(node) == FLOAT64


__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "arithmetic_type",
    "between_type",
    "case_type",
    "check_comparable",
    "compared",
    "comparison_type",
    "in_type",
    "is_float",
    "is_type",
    "logical_type",
    "negated_type",
    "orderable",
    "set_type",
]
