"""The Postgres resource: the server, the user and the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from pydantic import Field

from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.stores.base import TableStore
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.settings import PostgresSettings
from taxi_platform.stores.postgres.store import PostgresStore


class PostgresResource(TableStoreResource):
    """Postgres, with the schema of the trip tables; the password is in TAXI_POSTGRES_PASSWORD."""

    host: str = Field(description="Server.")
    port: int = Field(description="Its port.")
    user: str = Field(description="User that owns the trip tables.")
    database: str = Field(description="Database of the trip tables.")
    schema_name: str = Field(default="trips", description="Schema of the trip tables.")

    def get_server(self) -> PostgresServer:
        """The server, with the password from the environment."""
        return PostgresServer.of(
            PostgresSettings(
                host=self.host,
                port=self.port,
                user=self.user,
                database=self.database,
                schema_name=self.schema_name,
            )
        )

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection]:
        """A connection for an asset's own statements; commits at the end of the block."""
        with self.get_server().connected(autocommit=False) as connection:
            yield connection
            connection.commit()

    @contextmanager
    def get_store(self) -> Iterator[TableStore]:
        """The trip tables of the schema."""
        yield PostgresStore(self.get_server(), self.schema_name)
