"""The published files, over HTTP or from a folder, byte for byte.

A download is streamed to disk, resumed after a broken connection, compared with what the server
says of it, and checked to be a whole trip file before anything is replaced. Where the file lies
afterwards is the landing zone's business.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from taxi_platform.stores.checksums import checksum_of, promised_checksum
from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.files import RAW_ENDINGS, LandingZone, RawFile, notes_of
from taxi_platform.trips.csv_reader import GZIP_MAGIC
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.reader import open_trip_file

if TYPE_CHECKING:
    # Imported where it is used: with its own command line it takes a third of a second.
    import httpx

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

REQUEST_SECONDS = 60.0
CONNECT_SECONDS = 10.0

NOT_PUBLISHED = (403, 404, 410)
"""Statuses of a file that is not there; some servers answer 403 for it."""

NO_HEAD = (405, 501)
"""Statuses of a server that answers GET only."""

UNVERSIONED = "unversioned"
"""The version of a file of whose version the server says nothing: it is never published anew."""

ASK_SECONDS = 15.0
"""How long a source may be silent that is only asked what is published."""

Report = Callable[[int, int | None], None]
"""Told the bytes so far and the bytes in all, the latter None if the server does not say."""


@dataclass(frozen=True)
class Published:
    """What a source says of a file.

    Attributes:
        url: where it was found.
        ending: one of ``RAW_ENDINGS``.
        etag: the server's version of it, if it gives one.
        last_modified: the server's time of it, as it spells it.
    """

    url: str
    ending: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def version(self) -> str:
        """What tells this file from an earlier or later one at the same address."""
        return self.etag or self.last_modified or UNVERSIONED


def timeout_of(request_seconds: float) -> "httpx.Timeout":
    """How long to wait for a server: for an answer and each part of it, and to connect."""
    import httpx

    return httpx.Timeout(request_seconds, connect=min(CONNECT_SECONDS, request_seconds))


class TripSource(Protocol):
    """A place that publishes months of trips."""

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """Brings a month's file to a path, taking up where an earlier attempt broke off.

        Raises:
            PermanentStoreError: the month is not published.
            TransientStoreError: the source cannot be reached, or broke off.
        """
        ...

    def published(self, month: TripMonth) -> str | None:
        """The version of a month's file that is published now, None if none is; cheap.

        It is ``Published.version`` of a fetch at this moment.

        Raises:
            PermanentStoreError: the source refuses to say.
            TransientStoreError: the source cannot be reached.
        """
        ...


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
            if not _validator(partial, published_at=None):
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


def forget(partial: Path) -> None:
    """Removes an unfinished download and what is known of it."""
    notes_of(partial).unlink(missing_ok=True)
    partial.unlink(missing_ok=True)


def ending_of(url: str) -> str:
    """The ending of a published file, from its address.

    Raises:
        PermanentStoreError: it is of no known format.
    """
    path = urlsplit(url).path
    for ending in RAW_ENDINGS:
        if path.endswith(ending):
            return ending
    raise PermanentStoreError(f"TAXI_SOURCE_URL: {url} ends in none of {', '.join(RAW_ENDINGS)}")


@dataclass(frozen=True)
class HttpSource:
    """Files published over HTTP; the template has ``{color}`` and ``{month}``."""

    template: str
    request_seconds: float = REQUEST_SECONDS

    def url(self, month: TripMonth) -> str:
        """The address of a month's file."""
        return self.template.format(color=month.color, month=month.year_month)

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        import httpx

        url = self.url(month)
        timeout = timeout_of(self.request_seconds)
        try:
            with httpx.Client(follow_redirects=True, timeout=timeout) as client:
                return self._fetch(client, month, partial, report)
        except httpx.TransportError as error:
            raise TransientStoreError(
                f"{month}: {url}: the source broke off or cannot be reached "
                f"({type(error).__name__}: {error}); what was received is kept and resumed"
            ) from error
        except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise PermanentStoreError(f"{month}: {url}: {error}; check TAXI_SOURCE_URL") from error

    def _fetch(
        self, client: "httpx.Client", month: TripMonth, partial: Path, report: Report
    ) -> Published:
        url = self.url(month)
        ending = ending_of(url)
        headers = {"Accept-Encoding": "identity", **_resume_headers(partial, url)}
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == 416 and "Range" in headers:
                # There is nothing beyond what was received, or another file is published now.
                _start_over(partial)
                return self._fetch(client, month, partial, report)
            _refuse_status(month, url, response)
            published = Published(
                url, ending, response.headers.get("ETag"), response.headers.get("Last-Modified")
            )
            _receive(month, response, published, partial, report)
            _compare_checksum(month, response, published, partial)
        return published

    def published(self, month: TripMonth) -> str | None:
        """See ``TripSource.published``."""
        import httpx

        url = self.url(month)
        headers = {"Accept-Encoding": "identity"}
        timeout = timeout_of(min(ASK_SECONDS, self.request_seconds))
        try:
            with httpx.Client(follow_redirects=True, timeout=timeout) as client:
                response = client.head(url, headers=headers)
                if response.status_code in NO_HEAD:
                    with client.stream("GET", url, headers=headers) as response:
                        pass  # what it says of the file is enough
        except httpx.TransportError as error:
            raise TransientStoreError(
                f"{month}: {url}: the source cannot be reached ({type(error).__name__}: {error})"
            ) from error
        except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise PermanentStoreError(f"{month}: {url}: {error}; check TAXI_SOURCE_URL") from error
        status = response.status_code
        if status in NOT_PUBLISHED:
            return None
        if status != 200:
            kind = TransientStoreError if is_passing(status) else PermanentStoreError
            raise kind(f"{month}: {url} answered {status} {response.reason_phrase}")
        file = Published(
            url,
            ending_of(url),
            response.headers.get("ETag"),
            response.headers.get("Last-Modified"),
        )
        return file.version


def _validator(partial: Path, published_at: str | None) -> str | None:
    """The strong version of what was received before, if it can be resumed: from there, or at all.

    Only what has a strong version can: the rest may be of another file else.
    """
    try:
        notes = json.loads(notes_of(partial).read_text())
        size = partial.stat().st_size
    except (OSError, ValueError):
        return None
    if not size or (published_at is not None and notes.get("url") != published_at):
        return None
    validator: str | None = notes.get("validator")
    return validator


def _resume_headers(partial: Path, url: str) -> dict[str, str]:
    """Asks for the rest of an earlier download, if it was of the same version of the file."""
    validator = _validator(partial, url)
    if validator is None:
        return {}
    return {"Range": f"bytes={partial.stat().st_size}-", "If-Range": validator}


def _start_over(partial: Path) -> None:
    """Empties an unfinished download; it keeps its name, which this process holds."""
    notes_of(partial).unlink(missing_ok=True)
    os.truncate(partial, 0)


def _refuse_status(month: TripMonth, url: str, response: "httpx.Response") -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in NOT_PUBLISHED:
        raise PermanentStoreError(
            f"{month}: not published: {url} answered {status}. The TLC publishes about two months "
            "late; choose a month that is published, or set TAXI_SOURCE_URL to where it is"
        )
    if is_passing(status):
        raise TransientStoreError(
            f"{month}: {url} answered {status} {response.reason_phrase}: try again later"
        )
    raise PermanentStoreError(
        f"{month}: {url} answered {status} {response.reason_phrase}; check TAXI_SOURCE_URL"
    )


def is_passing(status: int) -> bool:
    """Whether a status says that asking again later may help."""
    return status in (408, 429) or status >= 500


def _receive(
    month: TripMonth,
    response: "httpx.Response",
    published: Published,
    partial: Path,
    report: Report,
) -> None:
    done, size = _place_of(month, response, published, partial)
    # A weak ETag does not promise the same bytes, so nothing may be joined under it.
    strong = published.etag and not published.etag.startswith("W/")
    notes = {"url": published.url, "validator": published.etag if strong else None}
    with partial.open("r+b" if done else "wb") as file:
        file.seek(done)
        file.truncate()
        # Not before: notes of this version must never stand beside bytes of an earlier one.
        notes_of(partial).write_text(json.dumps(notes))
        # As it comes: a chunk that waits to be filled would be lost with the connection.
        for chunk in response.iter_raw():
            file.write(chunk)
            done += len(chunk)
            report(done, size)
    if size is not None and done != size:
        raise TransientStoreError(
            f"{month}: {published.url}: {done:,} bytes of {size:,} were received; the rest is "
            "resumed"
        )


def _compare_checksum(
    month: TripMonth, response: "httpx.Response", published: Published, partial: Path
) -> None:
    promised = promised_checksum(response.status_code, response.headers)
    if promised is None:
        return
    algorithm, value = promised
    if checksum_of(partial, algorithm) != value:
        _start_over(partial)
        raise TransientStoreError(
            f"{month}: {published.url}: what arrived has another {algorithm} than the server "
            "gives; the next attempt starts over"
        )


def _place_of(
    month: TripMonth, response: "httpx.Response", published: Published, partial: Path
) -> tuple[int, int | None]:
    """Where an answer's bytes belong, and the size of the whole file as far as the server says it.

    Raises:
        TransientStoreError: they are not what follows on what was received.
    """
    if response.status_code != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    # Some servers know Range and not If-Range, and give the rest of whatever they have now.
    asked = response.request.headers.get("If-Range")
    same = asked is None or published.etag in (None, asked)
    if given is None or int(given[1]) != partial.stat().st_size or not same:
        _start_over(partial)
        raise TransientStoreError(
            f"{month}: {published.url}: the server went on with "
            f"{'the wrong place' if same else 'another version'}; the next attempt starts over"
        )
    return int(given[1]), int(given[2]) if given[2].isdigit() else None


@dataclass(frozen=True)
class FolderSource:
    """Files in a folder of this machine; the template is a ``file://`` URL."""

    template: str

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        url = self.template.format(color=month.color, month=month.year_month)
        origin = Path(unquote(urlsplit(url).path))
        _start_over(partial)
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

        _start_over(partial)
        write_synthetic_month(month, partial)
        size = partial.stat().st_size
        report(size, size)
        return Published(f"synthetic:{month.stem}", publication_ending(month))

    def published(self, month: TripMonth) -> str | None:  # noqa: ARG002
        """See ``TripSource.published``: every month is, always the same."""
        return UNVERSIONED
