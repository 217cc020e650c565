"""The download of the zone lookup."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from taxi_platform.errors import PermanentStoreError
from taxi_platform.http_requests import http_client
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.http_source import AS_IT_IS, REQUEST_SECONDS, faults_of
from taxi_platform.sources.statuses import is_not_published, refusal
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.zones import synthetic_zones

SUBJECT = "taxi_zones"
"""The start of messages, like the key of a month."""

MOST_BYTES = 16 << 20
"""The TLC's lookup has 12 kB."""


def fetch_zones(template: SourceTemplate, request_seconds: float = REQUEST_SECONDS) -> bytes | None:
    """The published lookup of a source, None if there is none.

    Args:
        template: the source of the trips.
        request_seconds: how long the request may take.

    Raises:
        TransientStoreError: the source cannot be reached.
        PermanentStoreError: it refuses the request.
    """
    if template.is_synthetic:
        return synthetic_zones()
    return _fetch(template, template.zones_address(), request_seconds)


def fetch_zone_shapes(
    template: SourceTemplate, request_seconds: float = REQUEST_SECONDS
) -> bytes | None:
    """The published shapes of the zones, None if the source has none.

    Args:
        template: the source of the trips.
        request_seconds: how long the request may take.

    Raises:
        TransientStoreError: the source cannot be reached.
        PermanentStoreError: it refuses the request.
    """
    if template.is_synthetic:
        return None
    return _fetch(template, template.zone_shapes_address(), request_seconds)


def _fetch(
    template: SourceTemplate, address: SourceAddress, request_seconds: float
) -> bytes | None:
    if template.scheme == "file":
        path = Path(unquote(address.path))
        return path.read_bytes() if path.is_file() else None
    hint = "try again later"
    with (
        faults_of(SUBJECT, address, "the source cannot be reached", hint),
        http_client(request_seconds, request_seconds) as client,
        client.stream("GET", address.with_secrets(), AS_IT_IS) as response,
    ):
        own = not template.is_named
        if is_not_published(response.status_code, is_own_source=own):
            return None
        if response.status_code != 200:
            raise refusal(SUBJECT, address, response, is_own_source=own)
        return b"".join(_limited(address, response.iter_bytes()))


def _limited(address: SourceAddress, parts: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > MOST_BYTES:
            raise PermanentStoreError(
                f"{SUBJECT}: {address} is larger than {MOST_BYTES:,} bytes: it is no file of zones"
            )
        yield part
