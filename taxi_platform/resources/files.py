"""The resources of the landing zone and of the published source."""

from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.stores.files import LandingZone
from taxi_platform.stores.source import TripSource, source_of


class LandingZoneResource(ConfigurableResource):
    """The folder of the published, cleaned and rejected files."""

    root: str = Field(description="Folder, absolute.")

    def get_zone(self) -> LandingZone:
        """The landing zone below the folder."""
        return LandingZone(Path(self.root))


class TripSourceResource(ConfigurableResource):
    """Where months are published."""

    url: str = Field(
        description="tlc, mirror, synthetic, or an http(s):// or file:// template with {color} "
        "and {month}."
    )

    def get_source(self) -> TripSource:
        """The source that the setting names.

        Raises:
            PermanentStoreError: it names none.
        """
        return source_of(self.url)
