"""The common base of the resources of all table stores: ``get_store``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.stores.base import TableStore
from taxi_platform.stores.registry import STORES


class TableStoreResource(ConfigurableResource, ABC):
    """A table store, as a resource for assets, checks and IO managers."""

    @abstractmethod
    def get_store(self) -> AbstractContextManager[TableStore]:
        """The store, open within a ``with`` block."""


class RegisteredStoreResource(TableStoreResource):
    """A store without a resource of its own: its name, and its settings without secrets."""

    store: str = Field(description="Name of the store.")
    settings: dict[str, Any] = Field(description="Its settings, without secrets.")

    @contextmanager
    def get_store(self) -> Iterator[TableStore]:
        """See ``TableStoreResource.get_store``."""
        store = STORES[self.store]
        with store.open(store.settings(**self.settings)) as opened:
            yield opened
