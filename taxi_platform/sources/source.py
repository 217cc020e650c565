"""Makes the source of a setting. Each kind of source has a module of its own."""

from taxi_platform.sources.download_limits import DownloadLimits
from taxi_platform.sources.folder import FolderSource
from taxi_platform.sources.http_source import REQUEST_SECONDS, HttpSource
from taxi_platform.sources.publications import TripSource
from taxi_platform.sources.synthetic import SyntheticSource
from taxi_platform.sources.template import SourceTemplate


def source_of(
    template: SourceTemplate,
    request_seconds: float = REQUEST_SECONDS,
    limits: DownloadLimits | None = None,
) -> TripSource:
    """The source of a setting.

    Args:
        template: where months are published.
        request_seconds: how long a server may send nothing before the request fails.
        limits: of a download.
    """
    if template.is_synthetic:
        return SyntheticSource()
    if template.scheme == "file":
        return FolderSource(template)
    return HttpSource(template, request_seconds, limits or DownloadLimits())
