"""The registry of trip types. Every module in this package is loaded automatically.

A module defines one trip type as ``TRIP_TYPE``. ``register`` adds a type that is defined elsewhere.
Code that several types share is in ``trip_type`` and ``columns``.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType

from taxi_platform.trips.rules import Rule
from taxi_platform.trips.trip_type import TripType

_types: dict[str, TripType] = {}

TRIP_TYPES: Mapping[str, TripType] = MappingProxyType(_types)
"""Every trip type by its name, which is the ``color`` in partition keys.

Sorted by name, because Dagster can only select a range of partitions from sorted keys. Types that
are registered later appear in it.
"""


def trip_type(name: str) -> TripType:
    """Returns the trip type with a name.

    Raises:
        ValueError: no trip type has this name.
    """
    try:
        return _types[name]
    except KeyError:
        raise ValueError(f"unknown color {name!r}: use one of {', '.join(_types)}") from None


def register(new: TripType) -> None:
    """Adds a trip type that is defined outside this package.

    Call it before the partitions are created: in a module that is imported before
    ``taxi_platform.definitions``.

    Raises:
        ValueError: another trip type has the same name or shares a header mark.
    """
    if _types.get(new.name) == new:
        return
    for known in _types.values():
        if known.name == new.name:
            raise ValueError(f"a trip type named {new.name} is already registered")
        if both := set(known.header_marks) & set(new.header_marks):
            raise ValueError(f"{known.name} and {new.name} share header marks: {sorted(both)}")
    _set({**_types, new.name: new})


@contextmanager
def registered(new: TripType) -> Iterator[TripType]:
    """Adds a trip type while the ``with`` block runs. For tests.

    Raises:
        ValueError: as for ``register``.
    """
    before = dict(_types)
    register(new)
    try:
        yield new
    finally:
        _set(before)


def default_colors() -> tuple[str, ...]:
    """The names of the trip types that are enabled by default, sorted."""
    return tuple(name for name, known in _types.items() if not known.opt_in)


def every_rule() -> Mapping[Rule, tuple[str, ...]]:
    """Every rule, with the names of the trip types that use it."""
    found: dict[Rule, tuple[str, ...]] = {}
    for name, known in _types.items():
        for rule in known.rules:
            found[rule] = (*found.get(rule, ()), name)
    return found


def _set(types: Mapping[str, TripType]) -> None:
    _types.clear()
    _types.update(sorted(types.items()))


for _module in pkgutil.iter_modules(__path__):
    register(import_module(f"{__name__}.{_module.name}").TRIP_TYPE)
