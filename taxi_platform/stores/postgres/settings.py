"""The variables of Postgres."""

from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.settings import StoreSettings


class PostgresSettings(StoreSettings):
    """The server of the trip tables, and its user."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_POSTGRES_")

    host: str = Field("127.0.0.1", description="Postgres server.")
    port: int = Field(5432, description="Its port.")
    user: str = Field("taxi", description="User that owns the trip tables.")
    password: SecretStr = Field(SecretStr(""), description="That user's password.")
    database: str = Field("taxi", description="Database of the trip tables.")
    schema_name: str = Field(
        "trips",
        validation_alias="TAXI_POSTGRES_SCHEMA",
        description="Schema of the trip tables.",
    )
