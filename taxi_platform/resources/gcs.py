"""The resource of the lake: dagster-gcp's own, which also knows its bucket and the emulator."""

from dagster_gcp import GCSResource
from google.cloud import storage
from pydantic import Field

from taxi_platform.resources.emulators import emulated
from taxi_platform.stores.lake import TripLake


class LakeResource(GCSResource):
    """Google Cloud Storage, with the bucket of the trip objects."""

    bucket: str = Field(description="Bucket of the trip objects.")
    environment: str = Field(default="gcp", description="local or gcp.")

    def get_client(self) -> storage.Client:
        """A client of GCS, or of the embedded server."""
        if emulated(self.environment, "STORAGE_EMULATOR_HOST"):
            from google.auth.credentials import AnonymousCredentials

            return storage.Client(project=self.project, credentials=AnonymousCredentials())
        return super().get_client()

    def get_lake(self) -> TripLake:
        """The trip objects of the bucket."""
        return TripLake(self.get_client(), self.bucket)
