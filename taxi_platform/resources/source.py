"""The resource of the published source."""

from dagster import ConfigurableResource
from pydantic import Field

from taxi_platform.landing.download import land
from taxi_platform.landing.files import RawFile
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.http_source import REQUEST_SECONDS
from taxi_platform.sources.publications import Published, Report, TripSource
from taxi_platform.sources.source import source_of
from taxi_platform.sources.zones import fetch_zones, zones_address
from taxi_platform.trips.month import TripMonth


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
            PermanentStoreError: the setting is not a source.
        """
        return source_of(self.url, self.request_seconds)

    def download(
        self, month: TripMonth, zone: LandingZone, report: Report
    ) -> tuple[RawFile, Published]:
        """Downloads a month's file to the landing zone; only a complete file replaces the old.

        Raises:
            StoreError: the month is not published, is not a trip file, or cannot be reached.
        """
        return land(self.get_source(), month, zone, report)

    def zones_address(self) -> str:
        """The address of the zone lookup: the TLC's own, or in the folder of the trip files."""
        return zones_address(self.url)

    def fetch_zones(self) -> bytes | None:
        """The published zone lookup, None if the source has none.

        Raises:
            StoreError: the source cannot be reached or refuses.
        """
        return fetch_zones(self.zones_address())
