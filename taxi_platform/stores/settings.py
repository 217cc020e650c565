"""The common base of all stores' settings; each store's own are in its package."""

import re
from typing import ClassVar

from pydantic import AfterValidator
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """The environment variables of one store. Secrets are ``SecretStr``, and redacted as such."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="ignore", frozen=True, populate_by_name=True
    )


def matching(pattern: str, what: str) -> AfterValidator:
    """Accepts texts that match a regular expression as a whole.

    Args:
        pattern: the regular expression.
        what: what the text is not otherwise, and what to give; for the message.
    """

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is no {what}")
        return value

    return AfterValidator(check)
