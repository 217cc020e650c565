"""The variables of BigQuery."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings


class BigQuerySettings(GoogleSettings):
    """The dataset of the trip tables."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_BIGQUERY_")

    dataset: str = Field("trips", description="Dataset of the trip tables.")
    location: str = Field("US", description="Location of the dataset and its jobs.")
