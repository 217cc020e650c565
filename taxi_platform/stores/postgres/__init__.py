"""Postgres: one trip table for each color, with one child table for each month."""

from collections.abc import Iterator
from contextlib import contextmanager

from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.base import StoreType, TableStore
from taxi_platform.stores.postgres.settings import PostgresSettings


@contextmanager
def _open(chosen: PostgresSettings) -> Iterator[TableStore]:
    from taxi_platform.stores.postgres.store import open_store

    with open_store(chosen) as store:
        yield store


STORE = StoreType(
    name="postgres",
    label="Postgres",
    description="The month in Postgres, its child table exchanged whole in one short transaction.",
    kinds=frozenset({"postgres"}),
    reads=TripParquet,
    settings=PostgresSettings,
    open=_open,
)
