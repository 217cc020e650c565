"""The resource of each table store: its own if it has one, else the common one."""

from typing import Any, get_args

from pydantic import SecretStr

from taxi_platform.resources.table_store import RegisteredStoreResource, TableStoreResource
from taxi_platform.stores.base import StoreType
from taxi_platform.stores.settings import StoreSettings


def store_resource(store: StoreType, chosen: StoreSettings) -> TableStoreResource:
    """The resource of a store with these settings."""
    public = _public(chosen)
    # Imported only if they are used: Google's clients take half a second.
    if store.name == "bigquery":
        from taxi_platform.resources.bigquery import TripBigQueryResource

        return TripBigQueryResource(**public)
    if store.name == "postgres":
        from taxi_platform.resources.postgres import PostgresResource

        return PostgresResource(**public)
    return RegisteredStoreResource(store=store.name, settings=public)


def _public(chosen: StoreSettings) -> dict[str, Any]:
    """A store's settings by field, without its secrets."""
    values = chosen.model_dump(mode="json")
    secret = {
        name
        for name, field in type(chosen).model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    return {name: value for name, value in values.items() if name not in secret}
