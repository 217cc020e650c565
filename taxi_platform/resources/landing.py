"""The resource of the landing zone."""

from pathlib import Path
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import LANDING_CACHE_BYTES, Settings
from taxi_platform.stores.gcs.client import bucket_zone
from taxi_platform.stores.gcs.settings import GCSSettings


class LandingZoneResource(ConfigurableResource):
    """The published, cleaned and rejected files: in a folder, or in a bucket with a cache."""

    root: str = Field(description="Folder, absolute.")
    bucket: dict[str, Any] | None = Field(
        default=None,
        description="Settings of GCS, if files are kept in its bucket; the folder is then a cache.",
    )
    cache_bytes: int = Field(
        default=LANDING_CACHE_BYTES, description="How large the cache may become."
    )
    _zone: LandingZone | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, chosen: Settings) -> "LandingZoneResource":
        """The resource of these settings."""
        in_bucket = chosen.landing == "bucket"
        return cls(
            root=str(chosen.data_dir),
            bucket=chosen.gcs.model_dump(mode="json") if in_bucket else None,
            cache_bytes=chosen.landing_cache_bytes,
        )

    def get_zone(self) -> LandingZone:
        """The landing zone, with one client of the bucket for a run."""
        if self._zone is None:
            root = Path(self.root)
            self._zone = (
                LandingZone(root)
                if self.bucket is None
                else bucket_zone(root, GCSSettings(**self.bucket), self.cache_bytes)
            )
        return self._zone
