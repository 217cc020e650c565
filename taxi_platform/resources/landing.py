"""The resource of the landing zone."""

from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.landing.zone import LandingZone


class LandingZoneResource(ConfigurableResource):
    """The folder of the published, cleaned and rejected files."""

    root: str = Field(description="Folder, absolute.")

    def get_zone(self) -> LandingZone:
        """The landing zone below the folder."""
        return LandingZone(Path(self.root))
