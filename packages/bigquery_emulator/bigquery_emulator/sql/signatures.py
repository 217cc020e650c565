"""Which types functions take and return, written as ``INT64, FLOAT64? -> STRING``.

Alternatives are separated by ``|``, and the nearest to the arguments is taken. ``T`` and ``U``
stand for any type, the same wherever they occur; ``ARRAY<T>`` for an array of it; ``?`` marks what
may be left out, ``...`` what may be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.sql.types import Type, array_of, conversion_cost, supertype

_VARIABLES = ("T", "U")
# To convert a value is worse than to convert any number of constants.
_OF_A_VALUE = 1000


@dataclass(frozen=True)
class Argument:
    """A value that a function is given: its type, and whether it is a constant."""

    kind: Type
    constant: bool = False


@dataclass(frozen=True)
class _Parameter:
    kind: Type
    optional: bool
    repeated: bool


@dataclass(frozen=True)
class _Signature:
    parameters: tuple[_Parameter, ...]
    result: Type

    def aligned(self, count: int) -> list[Type] | None:
        """The parameters' types for so many arguments."""
        required = [one for one in self.parameters if not one.optional]
        most = len(self.parameters)
        repeated = any(one.repeated for one in self.parameters)
        if count < len(required) or (count > most and not repeated):
            return None
        kinds = [one.kind for one in self.parameters]
        if repeated:
            kinds += [kinds[-1]] * (count - most)
        return kinds[:count]


def _parsed_type(text: str) -> Type:
    text = text.strip()
    if match := re.fullmatch(r"ARRAY<(.*)>", text):
        return array_of(_parsed_type(match[1]))
    return Type(text)


@cache
def _parsed(text: str) -> tuple[_Signature, ...]:
    found = []
    for one in text.split("|"):
        given, _, result = one.partition("->")
        parameters = []
        for part in given.split(","):
            name = part.strip()
            if name:
                bare = name.removesuffix("...").removesuffix("?")
                parameters.append(_Parameter(_parsed_type(bare), "?" in name, name.endswith("...")))
        found.append(_Signature(tuple(parameters), _parsed_type(result)))
    return tuple(found)


def resolved(
    name: str, text: str, given: Sequence[Argument], *, operator: bool = False
) -> tuple[list[Type], Type]:
    """The types that the arguments must be converted to, and the type of the result.

    Args:
        name: of the function, for the error.
        text: its signatures.
        given: the arguments.
        operator: whether it is an operator, for the error.

    Raises:
        ApiError: no signature takes these arguments.
    """
    best: tuple[int, list[Type], Type] | None = None
    for signature in _parsed(text):
        found = _fitted(signature, given)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    if best is None:
        raise no_signature(name, given, operator=operator)
    return best[1], best[2]


def no_signature(name: str, given: Sequence[Argument], *, operator: bool = False) -> Exception:
    """The error for arguments that a function does not take."""
    kinds = ", ".join(str(one.kind) for one in given)
    what = "operator" if operator else "function"
    types = f" for argument types: {kinds}" if given else " with no arguments"
    return invalid_query(f"No matching signature for {what} {name}{types}")


def _fitted(
    signature: _Signature, given: Sequence[Argument]
) -> tuple[int, list[Type], Type] | None:
    kinds = signature.aligned(len(given))
    if kinds is None:
        return None
    bound: dict[str, Type] = {}
    for variable in _VARIABLES:
        found = [
            (value, argument.constant)
            for kind, argument in zip(kinds, given, strict=True)
            if (value := _matched(kind, argument.kind, variable)) is not None
        ]
        if found:
            common = supertype(found)
            if common is None:
                return None
            bound[variable] = common
    cost, wanted = 0, []
    for kind, argument in zip(kinds, given, strict=True):
        target = _filled(kind, bound)
        step = conversion_cost(argument.kind, target, constant=argument.constant)
        if step is None:
            return None
        cost += step if argument.constant else step * _OF_A_VALUE
        wanted.append(target)
    return cost, wanted, _filled(signature.result, bound)


def _matched(pattern: Type, given: Type, variable: str) -> Type | None:
    """What a variable stands for in a type."""
    if pattern.name == variable:
        return given
    if pattern.name == "ARRAY" and given.name == "ARRAY" and pattern.element and given.element:
        return _matched(pattern.element, given.element, variable)
    return None


def _filled(pattern: Type, bound: dict[str, Type]) -> Type:
    if pattern.name in _VARIABLES:
        return bound.get(pattern.name, Type("NULL"))
    if pattern.name == "ARRAY" and pattern.element:
        return array_of(_filled(pattern.element, bound))
    return pattern
