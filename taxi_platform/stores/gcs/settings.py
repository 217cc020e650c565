"""The variables of Google Cloud Storage."""

import re
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings


class GCSSettings(GoogleSettings):
    """The bucket of the trip objects."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_GCS_")

    bucket: str = Field("taxi-lake", description="Bucket of the trip objects.")

    @field_validator("bucket")
    @classmethod
    def _name(cls, value: str) -> str:
        # https://cloud.google.com/storage/docs/buckets#naming
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", value):
            raise ValueError(
                f"{value!r} is no bucket name: give at least 3 lower-case letters, digits, '-', "
                "'_' and '.', without gs://"
            )
        return value
