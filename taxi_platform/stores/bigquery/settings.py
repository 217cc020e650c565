"""The variables of BigQuery."""

import re
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings


class BigQuerySettings(GoogleSettings):
    """The dataset of the trip tables."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_BIGQUERY_")

    dataset: str = Field("trips", description="Dataset of the trip tables.")
    location: str = Field("US", description="Location of the dataset and its jobs.")

    @field_validator("dataset")
    @classmethod
    def _name(cls, value: str) -> str:
        # https://cloud.google.com/bigquery/docs/datasets#dataset-naming
        if not re.fullmatch(r"[A-Za-z0-9_]{1,1024}", value):
            raise ValueError(
                f"{value!r} is no dataset name: give letters, digits and '_', without the project"
            )
        return value

    @field_validator("location")
    @classmethod
    def _location(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError(f"{value!r} is no location: give one such as US or europe-west1")
        return value
