"""The resources of the landing zone and of the published source."""

from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.http_source import REQUEST_SECONDS
from taxi_platform.sources.publications import TripSource
from taxi_platform.sources.source import source_of
from taxi_platform.stores.zones import fetch_zones, zones_address


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
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")

    def get_source(self) -> TripSource:
        """The source that the setting names.

        Raises:
            PermanentStoreError: it names none.
        """
        return source_of(self.url, self.request_seconds)

    def zones_address(self) -> str:
        """Where the zone lookup is: the TLC's own, or beside the trip files."""
        return zones_address(self.url)

    def fetch_zones(self) -> bytes | None:
        """The zone lookup as published, None where the source has none.

        Raises:
            StoreError: the source cannot be reached or refuses.
        """
        return fetch_zones(self.zones_address())
