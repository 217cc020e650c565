"""The variables of Postgres."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.settings import StoreSettings

LONGEST_NAME = 63
"""Bytes; Postgres cuts longer names."""


class PostgresSettings(StoreSettings):
    """The server of the trip tables, and its user."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_POSTGRES_")

    host: str = Field("127.0.0.1", min_length=1, description="Postgres server.")
    port: int = Field(5432, ge=1, le=65535, description="Its port.")
    user: str = Field("taxi", description="User that owns the trip tables.")
    password: SecretStr = Field(SecretStr(""), description="That user's password.")
    database: str = Field("taxi", description="Database of the trip tables.")
    schema_name: str = Field(
        "trips",
        validation_alias="TAXI_POSTGRES_SCHEMA",
        description="Schema of the trip tables.",
    )

    @field_validator("user", "database", "schema_name")
    @classmethod
    def _name(cls, value: str) -> str:
        # https://www.postgresql.org/docs/current/sql-syntax-lexical.html
        if not 1 <= len(value.encode(errors="replace")) <= LONGEST_NAME or not value.isprintable():
            raise ValueError(f"{value!r} is no name in Postgres: give 1 to {LONGEST_NAME} bytes")
        return value

    @field_validator("schema_name")
    @classmethod
    def _schema_of_users(cls, value: str) -> str:
        if value.startswith("pg_") or value == "information_schema":
            raise ValueError(f"{value} is a schema of Postgres itself: give one of your own")
        return value

    @field_validator("host")
    @classmethod
    def _no_address(cls, value: str) -> str:
        # The value is not repeated: such an address may have a password in it.
        if "@" in value or "://" in value:
            raise ValueError("give the host alone, and port, user and password in their variables")
        return value
