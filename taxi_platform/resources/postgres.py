"""The resource of Postgres: where it is and who asks."""

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.stores.postgres import PostgresServer, PostgresTrips


class PostgresResource(ConfigurableResource):
    """Postgres, with the schema of the trip tables."""

    host: str = Field(description="Server.")
    port: int = Field(description="Its port.")
    user: str = Field(description="User that owns the trip tables.")
    password: str = Field(description="That user's password; give an EnvVar, which is not shown.")
    database: str = Field(description="Database of the trip tables.")
    schema_name: str = Field(default="trips", description="Schema of the trip tables.")

    def get_tables(self) -> PostgresTrips:
        """The trip tables of the schema."""
        server = PostgresServer(self.host, self.port, self.user, self.password, self.database)
        return PostgresTrips(server, self.schema_name)
