"""The variables of Google Cloud Storage."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings
from taxi_platform.stores.settings import matching


class GCSSettings(GoogleSettings):
    """The bucket of the trip objects."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_GCS_")

    # https://cloud.google.com/storage/docs/buckets#naming
    bucket: Annotated[
        str,
        matching(
            r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
            "bucket name: give at least 3 lower-case letters, digits, '-', '_' and '.', without "
            "gs://",
        ),
    ] = Field("taxi-lake", description="Bucket of the trip objects.")
