"""All stores: the subpackages that define a ``STORE``, and registered ones."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from taxi_platform import stores
from taxi_platform.stores.base import StoreType

_stores: dict[str, StoreType] = {}

STORES: Mapping[str, StoreType] = MappingProxyType(_stores)
"""Every table store, by name."""


def register(store: StoreType) -> None:
    """Adds a store from outside this package; to be called before the settings are read.

    Raises:
        ValueError: another store has its name.
    """
    if _stores.setdefault(store.name, store) is not store:
        raise ValueError(f"there is a store named {store.name} already")


@contextmanager
def registered(store: StoreType) -> Iterator[StoreType]:
    """Adds a store within a ``with`` block, for tests.

    Raises:
        ValueError: another store has its name.
    """
    register(store)
    try:
        yield store
    finally:
        del _stores[store.name]


for _module in pkgutil.iter_modules(stores.__path__):
    if _module.ispkg:
        _package = importlib.import_module(f"{stores.__name__}.{_module.name}")
        if hasattr(_package, "STORE"):
            register(_package.STORE)
