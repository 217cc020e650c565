"""The zone lookup: its address, and its download."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.http_source import (
    NOT_PUBLISHED,
    REQUEST_SECONDS,
    is_transient_status,
    timeout_of,
)
from taxi_platform.sources.source import PRESETS, SYNTHETIC
from taxi_platform.trips.zones import synthetic_zones

FILE_NAME = "taxi_zone_lookup.csv"
PUBLISHED_AT = f"https://d37ci6vzurychx.cloudfront.net/misc/{FILE_NAME}"
SUBJECT = "taxi_zones"
"""The start of messages, like the key of a month."""


def zones_address(source_url: str) -> str:
    """The lookup's address for a trip source: the TLC's own, or in the folder of the trip files.

    >>> zones_address("https://host/trips/{color}_tripdata_{month}.parquet")
    'https://host/trips/taxi_zone_lookup.csv'
    """
    if source_url == SYNTHETIC:
        return SYNTHETIC
    if source_url in PRESETS:
        return PUBLISHED_AT
    return f"{source_url.rpartition('/')[0]}/{FILE_NAME}"


def fetch_zones(address: str) -> bytes | None:
    """The published lookup, None if there is none.

    Raises:
        TransientStoreError: the source cannot be reached.
        PermanentStoreError: it refuses the request.
    """
    if address == SYNTHETIC:
        return synthetic_zones()
    if urlsplit(address).scheme == "file":
        path = Path(unquote(urlsplit(address).path))
        return path.read_bytes() if path.is_file() else None
    import httpx

    try:
        response = httpx.get(address, follow_redirects=True, timeout=timeout_of(REQUEST_SECONDS))
    except httpx.TransportError as error:
        raise TransientStoreError(f"{SUBJECT}: {address} cannot be reached ({error})") from error
    except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise PermanentStoreError(f"{SUBJECT}: {address}: {error}") from error
    if response.status_code in NOT_PUBLISHED:
        return None
    if is_transient_status(response.status_code):
        raise TransientStoreError(f"{SUBJECT}: {address} answered {response.status_code}")
    if response.status_code != 200:
        raise PermanentStoreError(f"{SUBJECT}: {address} answered {response.status_code}")
    return response.content
