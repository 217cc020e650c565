"""The variables of Google Cloud Storage."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings


class GCSSettings(GoogleSettings):
    """The bucket of the trip objects."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_GCS_")

    bucket: str = Field("taxi-lake", min_length=3, description="Bucket of the trip objects.")
