"""The GCS resource: dagster-gcp's, with the bucket and support for the embedded server."""

from dagster_gcp import GCSResource
from google.cloud import storage
from pydantic import Field

from taxi_platform.stores.gcs.client import EMULATOR, browser_url, gcs_client
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.google import REQUEST_SECONDS, is_emulated


class TripGCSResource(GCSResource):
    """Google Cloud Storage, with the bucket of the trip objects."""

    bucket: str = Field(description="Bucket of the trip objects.")
    environment: str = Field(default="gcp", description="local or gcp.")
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")

    def get_client(self) -> storage.Client:
        """A client of GCS, or of the embedded server."""
        if is_emulated(self.environment, EMULATOR):
            return gcs_client(self._settings())
        return super().get_client()

    def get_trips(self) -> GCSTrips:
        """The trip objects of the bucket."""
        return GCSTrips(self.get_client(), self.bucket, self.request_seconds)

    def browser_url(self, name: str) -> str:
        """The page of an object in Google's console, for users with access."""
        return browser_url(self._settings(), name)

    def _settings(self) -> GCSSettings:
        return GCSSettings(
            environment=self.environment,
            project=self.project,
            bucket=self.bucket,
            request_seconds=self.request_seconds,
        )
