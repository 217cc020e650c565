"""The variables of BigQuery."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from taxi_platform.stores.google import GoogleSettings
from taxi_platform.stores.settings import matching


class BigQuerySettings(GoogleSettings):
    """The dataset of the trip tables."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_BIGQUERY_")

    # https://cloud.google.com/bigquery/docs/datasets#dataset-naming
    dataset: Annotated[
        str,
        matching(
            r"[A-Za-z0-9_]{1,1024}",
            "dataset name: give letters, digits and '_', without the project",
        ),
    ] = Field("trips", description="Dataset of the trip tables.")
    location: Annotated[
        str, matching(r"[A-Za-z0-9-]+", "location: give one such as US or europe-west1")
    ] = Field("US", description="Location of the dataset and its jobs.")
