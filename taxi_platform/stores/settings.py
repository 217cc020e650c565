"""The common base of all stores' settings; each store's own are in its package."""

from typing import ClassVar

from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """The environment variables of one store. Secrets are ``SecretStr``, and redacted as such."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="ignore", frozen=True, populate_by_name=True
    )
