"""Makes the source of a setting. Each kind of source has a module of its own."""

from urllib.parse import urlsplit

from taxi_platform.errors import PermanentStoreError
from taxi_platform.sources.folder import FolderSource
from taxi_platform.sources.http_source import REQUEST_SECONDS, HttpSource
from taxi_platform.sources.publications import TripSource
from taxi_platform.sources.synthetic import SyntheticSource

PRESETS = {
    "tlc": "https://d37ci6vzurychx.cloudfront.net/trip-data/{color}_tripdata_{month}.parquet",
    "mirror": (
        "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/"
        "{color}/{color}_tripdata_{month}.csv.gz"
    ),
}
"""Named sources: the TLC itself, and the mirror of its CSVs of 2019-01 to 2021-07."""

SYNTHETIC = "synthetic"


def source_of(template: str, request_seconds: float = REQUEST_SECONDS) -> TripSource:
    """The source of a setting: a preset, ``synthetic``, or a URL template.

    Args:
        template: for example ``https://host/{color}_tripdata_{month}.parquet`` or
            ``file:///folder/{color}_tripdata_{month}.csv.gz``.
        request_seconds: how long a server may send nothing before the request fails.

    Raises:
        PermanentStoreError: it is none of these.
    """
    if template == SYNTHETIC:
        return SyntheticSource()
    template = PRESETS.get(template, template)
    scheme = urlsplit(template).scheme
    if "{month}" not in template or scheme not in ("http", "https", "file"):
        raise PermanentStoreError(
            f"TAXI_SOURCE_URL is {template!r}: give one of {', '.join(PRESETS)}, {SYNTHETIC}, or "
            "an http(s):// or file:// template with {color} and {month}"
        )
    return FolderSource(template) if scheme == "file" else HttpSource(template, request_seconds)
