"""The resource of the lake: dagster-gcp's own, which also knows its bucket and the emulator."""

import os
from typing import Self
from urllib.parse import quote

from dagster_gcp import GCSResource
from google.cloud import storage
from pydantic import Field

from taxi_platform.resources.emulators import emulated
from taxi_platform.settings import Settings
from taxi_platform.stores.gcs.objects import REQUEST_SECONDS, TripLake


class LakeResource(GCSResource):
    """Google Cloud Storage, with the bucket of the trip objects."""

    bucket: str = Field(description="Bucket of the trip objects.")
    environment: str = Field(default="gcp", description="local or gcp.")
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")

    @classmethod
    def of(cls, chosen: Settings) -> Self:
        """The resource of these settings."""
        return cls(
            project=chosen.gcp_project,
            bucket=chosen.gcs_bucket,
            environment=chosen.env,
            request_seconds=chosen.request_seconds,
        )

    def get_client(self) -> storage.Client:
        """A client of GCS, or of the embedded server."""
        if emulated(self.environment, "STORAGE_EMULATOR_HOST"):
            from google.auth.credentials import AnonymousCredentials

            return storage.Client(project=self.project, credentials=AnonymousCredentials())
        return super().get_client()

    def browser_url(self, name: str) -> str:
        """Where people look at an object of the bucket, once they may."""
        server = os.environ.get("STORAGE_EMULATOR_HOST", "")
        if self.environment == "local":
            return f"{server}/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}"
        return f"https://console.cloud.google.com/storage/browser/_details/{self.bucket}/{name}"

    def get_lake(self) -> TripLake:
        """The trip objects of the bucket."""
        return TripLake(self.get_client(), self.bucket, self.request_seconds)
