"""Files published over HTTP, byte for byte.

A download is resumed after a broken connection, and checked against the server's size and checksum.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_platform.deadlines import DeadlineError
from taxi_platform.errors import PermanentStoreError, StoreError, TransientStoreError
from taxi_platform.http_requests import HttpClient, http_client
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.checksums import checksum_of, promised_checksum
from taxi_platform.sources.download_limits import DownloadLimits
from taxi_platform.sources.publications import Published, Report, ending_of
from taxi_platform.sources.statuses import PERMANENT, is_not_published, refusal
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.sources.unfinished_downloads import note_version, start_over, validator_of
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    # Imported where it is used: it takes a third of a second, including its command line.
    import httpx

REQUEST_SECONDS = 60.0

NO_HEAD = 501
"""The status of a server that supports only GET, apart from permanent ones such as 405."""

EMPTY = 416
"""The status for the first byte of a file that has none."""

ASK_SECONDS = 15.0
"""How long asking for a version may take, in all."""

AS_IT_IS = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class HttpSource:
    """Files published over HTTP."""

    template: SourceTemplate
    request_seconds: float = REQUEST_SECONDS
    limits: DownloadLimits = field(default_factory=DownloadLimits)

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        download = _Download(month, self.template.address(month), partial, self.limits, report)
        kept = "the received part is kept, and the next attempt resumes it"
        with (
            faults_of(month, download.address, "the source broke off or cannot be reached", kept),
            http_client(self.request_seconds, self.request_seconds) as client,
        ):
            return self._fetch(client, download)

    def _fetch(self, client: HttpClient, download: "_Download") -> Published:
        address = download.address
        ending = ending_of(address)
        headers = AS_IT_IS | _resume_headers(download.partial, address)
        with client.stream("GET", address.with_secrets(), headers) as response:
            if response.status_code not in (200, 206, EMPTY):
                raise self._refusal(download.month, response)
            if response.status_code != EMPTY:
                version = _version_headers(response)
                published = Published(address, ending, *version)
                download.receive(client, response, published)
                return published
        if "Range" not in headers:
            raise download.is_empty()
        # The file is not longer than the received part, or another file is published now.
        start_over(download.partial)
        return self._fetch(client, download)

    def published(self, month: TripMonth) -> str | None:
        """See ``TripSource.published``."""
        address = self.template.address(month)
        seconds = min(ASK_SECONDS, self.request_seconds)
        hint = "is the network up, and TAXI_SOURCE_URL right?"
        with (
            faults_of(month, address, "the source cannot be reached", hint),
            http_client(seconds, seconds) as client,
        ):
            url = address.with_secrets()
            with client.stream("HEAD", url, AS_IT_IS) as response:
                if response.status_code == 200:
                    return self._version(month, response)
                if response.status_code not in (*PERMANENT, NO_HEAD):
                    raise self._refusal(month, response)
            # Some servers refuse HEAD, and some signatures are valid for GET only.
            with client.stream("GET", url, AS_IT_IS | {"Range": "bytes=0-0"}) as response:
                return self._version(month, response)

    def _version(self, month: TripMonth, response: "httpx.Response") -> str | None:
        if response.status_code in (200, 206, EMPTY):
            address = self.template.address(month)
            return Published(address, ending_of(address), *_version_headers(response)).version
        if is_not_published(response.status_code, is_own_source=not self.template.is_named):
            return None
        raise self._refusal(month, response)

    def _refusal(self, month: TripMonth, response: "httpx.Response") -> StoreError:
        address = self.template.address(month)
        return refusal(month, address, response, is_own_source=not self.template.is_named)


@contextmanager
def faults_of(
    subject: object, address: SourceAddress, unreachable: str, hint: str
) -> Iterator[None]:
    """Maps the errors of HTTP requests.

    Args:
        subject: the start of messages, such as the month.
        address: where the requests go; no message contains its secrets.
        unreachable: what to say if the server cannot be reached.
        hint: what to do then.
    """
    import httpx

    try:
        yield
    except DeadlineError as error:
        raise TransientStoreError(f"{subject}: {address}: {error}; {hint}") from None
    except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        said = address.redacted(error)
        raise PermanentStoreError(f"{subject}: {address}: {said}; check TAXI_SOURCE_URL") from None
    except httpx.RequestError as error:
        said = address.redacted(f"{type(error).__name__}: {error}")
        raise TransientStoreError(f"{subject}: {address}: {unreachable} ({said}); {hint}") from None


def _version_headers(response: "httpx.Response") -> tuple[str | None, str | None]:
    return response.headers.get("ETag"), response.headers.get("Last-Modified")


def _resume_headers(partial: Path, address: SourceAddress) -> dict[str, str]:
    """Headers that request the rest of an earlier download of the same version."""
    validator = validator_of(partial, address)
    if validator is None:
        return {}
    return {"Range": f"bytes={partial.stat().st_size}-", "If-Range": validator}


def _refuse_coding(month: TripMonth, address: SourceAddress, response: "httpx.Response") -> None:
    """Refuses what a server has packed unasked, but for gzip, which is read as it comes."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise PermanentStoreError(
            f"{month}: {address} is sent with Content-Encoding: {coding}, though it was asked "
            "for as it is; only gzip is read. Have the server send it as it is, or take "
            "another source"
        )


@dataclass(frozen=True)
class _Download:
    """A download of a month's file to a path."""

    month: TripMonth
    address: SourceAddress
    partial: Path
    limits: DownloadLimits
    report: Report

    def receive(self, client: HttpClient, response: "httpx.Response", published: Published) -> None:
        """Appends what a response contains, and checks size and checksum of the file."""
        _refuse_coding(self.month, self.address, response)
        done, size = _place_of(self.month, response, published, self.partial)
        if size == 0:
            raise self.is_empty()
        self._refuse_size(size or 0)
        # A weak ETag does not guarantee the same bytes, so such a download is not resumed.
        strong = published.etag and not published.etag.startswith("W/")
        arrived = self.limits.pace(client.deadline)
        with self.partial.open("r+b" if done else "wb") as file:
            file.seek(done)
            file.truncate()
            # Not earlier: notes of this version must never exist with bytes of an earlier one.
            note_version(self.partial, self.address, published.etag if strong else None)
            # Unbuffered: a partly filled buffer would be lost with the connection.
            for chunk in response.iter_raw():
                self._refuse_size(done + len(chunk))
                file.write(chunk)
                done += len(chunk)
                arrived(len(chunk))
                self.report(done, size)
        # What follows takes its time, whatever the server does.
        client.deadline.end()
        if not done:
            raise self.is_empty()
        if size is not None and done != size:
            raise TransientStoreError(
                f"{self.month}: {self.address}: {done:,} bytes of {size:,} were received; the next "
                "attempt resumes it"
            )
        self._compare_checksum(response)

    def is_empty(self) -> TransientStoreError:
        """The error for a file without a byte, which is most likely being written."""
        start_over(self.partial)
        return TransientStoreError(
            f"{self.month}: {self.address} is empty: try again later, or check the source"
        )

    def _refuse_size(self, size: int) -> None:
        if size > self.limits.size:
            start_over(self.partial)
            raise PermanentStoreError(
                f"{self.month}: {self.address} is larger than {self.limits.size:,} bytes: check "
                "what it is, or raise TAXI_DOWNLOAD_BYTES"
            )

    def _compare_checksum(self, response: "httpx.Response") -> None:
        promised = promised_checksum(response.status_code, response.headers)
        if promised is None:
            return
        algorithm, value = promised
        if checksum_of(self.partial, algorithm) != value:
            start_over(self.partial)
            raise TransientStoreError(
                f"{self.month}: {self.address}: the received file has another {algorithm} than the "
                "server announced; the next attempt starts over"
            )


def _place_of(
    month: TripMonth, response: "httpx.Response", published: Published, partial: Path
) -> tuple[int, int | None]:
    """The offset of a response's bytes, and the size of the whole file if the server sends it.

    Raises:
        TransientStoreError: they do not continue the received part.
    """
    if response.status_code != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    # Some servers support Range but not If-Range, and send the rest of their current file.
    asked = response.request.headers.get("If-Range")
    same = asked is None or published.etag in (None, asked)
    if given is None or int(given[1]) != partial.stat().st_size or not same:
        start_over(partial)
        raise TransientStoreError(
            f"{month}: {published.address}: the server continued with "
            f"{'the wrong place' if same else 'another version'}; the next attempt starts over"
        )
    return int(given[1]), int(given[2]) if given[2].isdigit() else None
