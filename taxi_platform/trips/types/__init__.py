"""The kinds of trips: one file each, found by itself.

A module here defines one kind as ``TRIP_TYPE``. One that is defined elsewhere is made known by
``register``. What kinds have in common does not belong here: see ``trip_type`` and ``columns``.
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
"""Every kind of trip by its name, the ``color`` of partitions.

In alphabetical order: Dagster selects nothing from a range in another order. Types that are
registered later appear in it.
"""


def trip_type(name: str) -> TripType:
    """The kind of trip of a name.

    Raises:
        ValueError: there is none.
    """
    try:
        return _types[name]
    except KeyError:
        raise ValueError(f"unknown color {name!r}: one of {', '.join(_types)}") from None


def register(new: TripType) -> None:
    """Makes a kind of trip known that is defined elsewhere.

    To be called before the partitions are made: in a module that is imported before
    ``taxi_platform.definitions``.

    Raises:
        ValueError: another kind has the name, or a header mark of it.
    """
    if _types.get(new.name) == new:
        return
    for known in _types.values():
        if known.name == new.name:
            raise ValueError(f"there is a trip type {new.name} already")
        if both := set(known.header_marks) & set(new.header_marks):
            raise ValueError(f"{known.name} and {new.name} share header marks: {sorted(both)}")
    _set({**_types, new.name: new})


@contextmanager
def registered(new: TripType) -> Iterator[TripType]:
    """Makes a kind of trip known for as long as the block runs: for tests.

    Raises:
        ValueError: as ``register`` does.
    """
    before = dict(_types)
    register(new)
    try:
        yield new
    finally:
        _set(before)


def default_colors() -> tuple[str, ...]:
    """The names of the kinds that are used unless others are asked for, in alphabetical order."""
    return tuple(name for name, known in _types.items() if not known.opt_in)


def every_rule() -> Mapping[Rule, tuple[str, ...]]:
    """Every rule, and the names of the kinds of trips that have it."""
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
