"""The resource of Postgres: where it is and who asks."""

import os
from typing import Self

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.settings import Settings
from taxi_platform.stores.postgres.server import PostgresServer
from taxi_platform.stores.postgres.trips import PostgresTrips


class PostgresResource(ConfigurableResource):
    """Postgres, with the schema of the trip tables."""

    host: str = Field(description="Server.")
    port: int = Field(description="Its port.")
    user: str = Field(description="User that owns the trip tables.")
    password_variable: str = Field(
        default="TAXI_POSTGRES_PASSWORD",
        description="Environment variable that holds the password, which is no part of the "
        "configuration and so is shown nowhere.",
    )
    database: str = Field(description="Database of the trip tables.")
    schema_name: str = Field(default="trips", description="Schema of the trip tables.")

    @classmethod
    def of(cls, chosen: Settings) -> Self:
        """The resource of these settings."""
        return cls(
            host=chosen.postgres_host,
            port=chosen.postgres_port,
            user=chosen.postgres_user,
            database=chosen.postgres_database,
            schema_name=chosen.postgres_schema,
        )

    def get_server(self) -> PostgresServer:
        """The server, with the password from the environment."""
        password = os.environ.get(self.password_variable, "")
        return PostgresServer(self.host, self.port, self.user, password, self.database)

    def get_tables(self) -> PostgresTrips:
        """The trip tables of the schema."""
        return PostgresTrips(self.get_server(), self.schema_name)
