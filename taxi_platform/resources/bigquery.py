"""The BigQuery resource: dagster-gcp's, with the dataset and support for the emulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster_gcp import BigQueryResource
from google.cloud import bigquery
from pydantic import Field

from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.stores.base import TableStore
from taxi_platform.stores.bigquery.client import EMULATOR, bigquery_client
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.store import BigQueryStore
from taxi_platform.stores.google import REQUEST_SECONDS, is_emulated


class TripBigQueryResource(TableStoreResource, BigQueryResource):
    """BigQuery, with the dataset of the trip tables."""

    dataset: str = Field(description="Dataset of the trip tables.")
    environment: str = Field(default="gcp", description="local or gcp.")
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """A client of BigQuery, or of the embedded emulator."""
        if is_emulated(self.environment, EMULATOR):
            with bigquery_client(self._settings()) as client:
                yield client
        else:
            with super().get_client() as client:
                yield client

    @contextmanager
    def get_store(self) -> Iterator[TableStore]:
        """The trip tables of the dataset."""
        with self.get_client() as client:
            yield BigQueryStore(client, self._settings())

    def get_object_to_set_on_execution_context(self) -> Any:
        """The resource itself, if it is accessed by its key instead of a parameter."""
        return self

    def _settings(self) -> BigQuerySettings:
        return BigQuerySettings(
            environment=self.environment,
            project=self.project,
            dataset=self.dataset,
            location=self.location or "US",
            request_seconds=self.request_seconds,
        )
