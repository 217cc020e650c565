"""Which stores there are, and what a room must say of itself."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from taxi_platform.landing.files import TripParquet
from taxi_platform.stores import registry
from taxi_platform.stores.base import StoreType, TableStore
from taxi_platform.stores.registry import STORES, register
from taxi_platform.stores.settings import StoreSettings


def nowhere(_chosen: object) -> AbstractContextManager[TableStore]:
    raise NotImplementedError


OTHER = StoreType(
    name="other",
    label="Other",
    description="A store of this test.",
    kinds=frozenset({"other"}),
    reads=TripParquet,
    settings=StoreSettings,
    open=nowhere,
)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = dict(STORES)
    yield
    registry._stores.clear()
    registry._stores.update(before)


def test_every_room_that_names_a_store_is_found() -> None:
    assert set(STORES) == {"bigquery", "postgres"}


@pytest.mark.parametrize("name", sorted(STORES))
def test_a_store_is_described_and_made_of_its_own_settings(name: str) -> None:
    store = STORES[name]
    assert store.name == name == name.lower()
    assert store.asset == f"{name}_trips"
    assert store.label
    assert store.description.endswith(".")
    assert store.kinds
    assert issubclass(store.settings, StoreSettings)
    assert store.reads_gcs == (name == "bigquery")


def test_a_store_from_elsewhere_is_registered_once_and_under_its_own_name() -> None:
    register(OTHER)
    register(OTHER)
    assert STORES["other"] is OTHER
    with pytest.raises(ValueError, match="a store named other already"):
        register(replace(OTHER, label="Another"))
    assert STORES["other"] is OTHER


def test_the_registry_is_changed_by_registering_only() -> None:
    with pytest.raises(TypeError):
        STORES["other"] = OTHER  # type: ignore[index]
