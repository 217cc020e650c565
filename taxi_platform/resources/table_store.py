"""What the resources of all stores of trip tables have in common: ``get_store``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.stores.base import TableStore
from taxi_platform.stores.registry import STORES


class TableStoreResource(ConfigurableResource, ABC):
    """A store of trip tables, as assets, checks and IO managers take it."""

    @abstractmethod
    def get_store(self) -> AbstractContextManager[TableStore]:
        """The store, for as long as a block lasts."""


class RegisteredStoreResource(TableStoreResource):
    """A store that has no resource of its own: its name, and its settings without the secrets."""

    store: str = Field(description="Name of the store.")
    settings: dict[str, Any] = Field(description="Its settings; secrets are left out.")

    @contextmanager
    def get_store(self) -> Iterator[TableStore]:
        """See ``TableStoreResource.get_store``."""
        store = STORES[self.store]
        with store.open(store.settings(**self.settings)) as opened:
            yield opened
