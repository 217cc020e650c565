"""The resource of BigQuery: dagster-gcp's own, which also knows its dataset and the emulator."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from dagster_gcp import BigQueryResource
from google.cloud import bigquery
from pydantic import Field

from taxi_platform.resources.emulators import emulated
from taxi_platform.settings import Settings
from taxi_platform.stores.bigquery.trips import REQUEST_SECONDS, BigQueryTrips


class TripBigQueryResource(BigQueryResource):
    """BigQuery, with the dataset of the trip tables."""

    dataset: str = Field(description="Dataset of the trip tables.")
    environment: str = Field(default="gcp", description="local or gcp.")
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")

    @classmethod
    def of(cls, chosen: Settings) -> Self:
        """The resource of these settings."""
        return cls(
            project=chosen.gcp_project,
            location=chosen.bigquery_location,
            dataset=chosen.bigquery_dataset,
            environment=chosen.env,
            request_seconds=chosen.request_seconds,
        )

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """A client of BigQuery, or of the embedded emulator."""
        if emulated(self.environment, "BIGQUERY_EMULATOR_HOST"):
            from google.auth.credentials import AnonymousCredentials

            with bigquery.Client(
                project=self.project, location=self.location, credentials=AnonymousCredentials()
            ) as client:
                yield client
        else:
            with super().get_client() as client:
                yield client

    def browser_url(self, table: str) -> str:
        """Where people look at a table, given as ``project.dataset.table``, once they may."""
        project, dataset, name = table.split(".")
        if self.environment == "local":
            server = os.environ.get("BIGQUERY_EMULATOR_HOST", "")
            return f"{server}/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{name}"
        return (
            f"https://console.cloud.google.com/bigquery?project={project}"
            f"&ws=!1m5!1m4!4m3!1s{project}!2s{dataset}!3s{name}"
        )

    @contextmanager
    def get_tables(self) -> Iterator[BigQueryTrips]:
        """The trip tables of the dataset."""
        with self.get_client() as client:
            yield BigQueryTrips(client, self.dataset, self.location or "US", self.request_seconds)
