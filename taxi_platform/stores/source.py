"""The published files, from wherever a setting says, landed byte for byte.

What is fetched is checked to be a whole trip file before anything is replaced. Where the file lies
afterwards is the landing zone's business.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.files import LandingZone, RawFile
from taxi_platform.stores.http_source import REQUEST_SECONDS, HttpSource
from taxi_platform.stores.publications import UNVERSIONED, Published, Report, TripSource, ending_of
from taxi_platform.stores.unfinished_downloads import forget, notes_of, start_over, validator_of
from taxi_platform.trips.csv_reader import GZIP_MAGIC
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.reader import open_trip_file

PRESETS = {
    "tlc": "https://d37ci6vzurychx.cloudfront.net/trip-data/{color}_tripdata_{month}.parquet",
    "mirror": (
        "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/"
        "{color}/{color}_tripdata_{month}.csv.gz"
    ),
}
"""Named sources: the TLC itself, and the mirror of its CSVs of 2019-01 to 2021-07."""

SYNTHETIC = "synthetic"

CHUNK_BYTES = 1 << 20


def source_of(template: str, request_seconds: float = REQUEST_SECONDS) -> TripSource:
    """The source that a setting names: a preset, ``synthetic``, or a URL template.

    Args:
        template: for example ``https://host/{color}_tripdata_{month}.parquet`` or
            ``file:///folder/{color}_tripdata_{month}.csv.gz``.
        request_seconds: how long a server may be silent before the download breaks off.

    Raises:
        PermanentStoreError: it is none of those.
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


def land(
    source: TripSource,
    month: TripMonth,
    landing: LandingZone,
    report: Report = lambda _done, _total: None,
) -> tuple[RawFile, Published]:
    """Fetches a month's published file into the landing zone, replacing it only if it is whole.

    Raises:
        PermanentStoreError: the month is not published, or what is published is no trip file.
        TransientStoreError: the source cannot be reached; what was received is kept for the
            next attempt.
    """
    with landing.raw_partial(month) as partial:
        try:
            published = source.fetch(month, partial, report)
        except BaseException:
            if not validator_of(partial, published_at=None):
                forget(partial)  # It cannot be resumed.
            raise
        try:
            _verify(partial, month)
        except TripFileError as error:
            forget(partial)
            raise PermanentStoreError(
                f"{month}: {published.url}: {_rename(error, partial, published.url)}; the landing "
                "zone is as it was"
            ) from error
        # Before the file leaves its name: what has that name afterwards is the next writer's.
        notes_of(partial).unlink(missing_ok=True)
        raw = landing.publish_raw(month, published.ending, partial)
    return raw, published


def _verify(partial: Path, month: TripMonth) -> None:
    """Refuses what is not a whole trip file of the color: a page, a cut download, another table."""
    open_trip_file(partial, month.color).close()
    with partial.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return
        file.seek(0)
        _verify_gzip(file, partial)


def _verify_gzip(file: Any, partial: Path) -> None:
    from isal import igzip, isal_zlib

    try:
        with igzip.open(file) as unpacked:
            while unpacked.read(CHUNK_BYTES):
                pass
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]
        raise TripFileError(
            f"{partial.name} is a damaged or truncated gzip file ({error})"
        ) from error


def _rename(error: TripFileError, partial: Path, url: str) -> str:
    return str(error).replace(partial.name, urlsplit(url).path.rsplit("/", 1)[-1])


@dataclass(frozen=True)
class FolderSource:
    """Files in a folder of this machine; the template is a ``file://`` URL."""

    template: str

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        url = self.template.format(color=month.color, month=month.year_month)
        origin = Path(unquote(urlsplit(url).path))
        start_over(partial)
        try:
            # Before the copy: of a file that is replaced meanwhile, the old version is noted, and
            # the new one noticed.
            version = _version_of(origin)
            shutil.copyfile(origin, partial)
            size = partial.stat().st_size
        except (FileNotFoundError, IsADirectoryError) as error:
            raise PermanentStoreError(
                f"{month}: not published: there is no file {origin}; check TAXI_SOURCE_URL"
            ) from error
        report(size, size)
        return Published(url, ending_of(url), etag=version)

    def published(self, month: TripMonth) -> str | None:
        """See ``TripSource.published``."""
        _, origin = self._place(month)
        try:
            return _version_of(origin) if origin.is_file() else None
        except OSError as error:
            raise TransientStoreError(f"{month}: {origin}: {error.strerror}") from error

    def _place(self, month: TripMonth) -> tuple[str, Path]:
        url = self.template.format(color=month.color, month=month.year_month)
        return url, Path(unquote(urlsplit(url).path))


def _version_of(file: Path) -> str:
    """Time and size, as web servers make an ETag of them."""
    facts = file.stat()
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'


class SyntheticSource:
    """Months made on the spot, seeded by color and month. Not real trips: for demo and tests."""

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        from taxi_platform.trips.synthetic import publication_ending, write_synthetic_month

        start_over(partial)
        write_synthetic_month(month, partial)
        size = partial.stat().st_size
        report(size, size)
        return Published(f"synthetic:{month.stem}", publication_ending(month))

    def published(self, month: TripMonth) -> str | None:  # noqa: ARG002
        """See ``TripSource.published``: every month is, always the same."""
        return UNVERSIONED
