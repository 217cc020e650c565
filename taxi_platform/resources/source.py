"""The resource of the published source."""

from dagster import ConfigurableResource
from pydantic import ConfigDict, Field, field_validator

from taxi_platform.landing.download import land
from taxi_platform.landing.files import RawFile
from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import load_settings
from taxi_platform.sources.download_limits import (
    DOWNLOAD_BYTES,
    DOWNLOAD_SECONDS,
    DownloadLimits,
)
from taxi_platform.sources.http_source import REQUEST_SECONDS
from taxi_platform.sources.publications import Published, Report, TripSource
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.sources.zones import fetch_zone_shapes, fetch_zones
from taxi_platform.trips.month import TripMonth


class TripSourceResource(ConfigurableResource):
    """Where months are published; user, password and query are in TAXI_SOURCE_URL."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(
        description="tlc, mirror, synthetic, or an http(s):// or file:// template with {color} "
        "and {month}, without secrets: those of TAXI_SOURCE_URL are used if it is the same."
    )
    request_seconds: float = Field(default=REQUEST_SECONDS, description="Timeout of a request.")
    download_seconds: float = Field(
        default=DOWNLOAD_SECONDS, description="How long an attempt of a download may take."
    )
    download_bytes: int = Field(
        default=DOWNLOAD_BYTES, description="How large a published file may be."
    )

    @field_validator("url")
    @classmethod
    def _without_secrets(cls, value: str) -> str:
        if SourceTemplate(value).secrets():
            raise ValueError(
                "the UI shows it, so it must not contain a user, a password or a query: set "
                "TAXI_SOURCE_URL to the whole address"
            )
        return value

    def get_template(self) -> SourceTemplate:
        """The source, with the secrets from the environment."""
        chosen = load_settings().source_url
        return chosen if str(chosen) == self.url else SourceTemplate(self.url)

    def get_source(self) -> TripSource:
        """The source to download from."""
        limits = DownloadLimits(seconds=self.download_seconds, size=self.download_bytes)
        return source_of(self.get_template(), self.request_seconds, limits)

    def download(
        self, month: TripMonth, zone: LandingZone, report: Report
    ) -> tuple[RawFile, Published]:
        """Downloads a month's file into the landing zone, replacing the old one only if complete.

        Raises:
            StoreError: the month is not published, is not a trip file, or cannot be reached.
        """
        return land(self.get_source(), month, zone, report)

    def zones_address(self) -> str:
        """The address of the zone lookup, without secrets."""
        return str(self.get_template().zones_address())

    def fetch_zones(self) -> bytes | None:
        """The published zone lookup, None if the source has none.

        Raises:
            StoreError: the source cannot be reached or refuses.
        """
        return fetch_zones(self.get_template(), self.request_seconds)

    def fetch_zone_shapes(self) -> bytes | None:
        """The published shapes of the zones, None if the source has none.

        Raises:
            StoreError: the source cannot be reached or refuses.
        """
        return fetch_zone_shapes(self.get_template(), self.request_seconds)
