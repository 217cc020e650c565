"""Files published over HTTP, byte for byte.

A download is resumed after a broken connection, and checked against the server's size and checksum.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.checksums import checksum_of, promised_checksum
from taxi_platform.sources.publications import Published, Report, ending_of
from taxi_platform.sources.unfinished_downloads import notes_of, start_over, validator_of
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    # Imported where it is used: it takes a third of a second, including its command line.
    import httpx

REQUEST_SECONDS = 60.0
CONNECT_SECONDS = 10.0

NOT_PUBLISHED = (403, 404, 410)
"""Statuses of a file that is not published; some servers answer 403."""

NO_HEAD = (405, 501)
"""Statuses of a server that supports only GET."""

ASK_SECONDS = 15.0
"""The timeout of a request that only asks for a version."""


def timeout_of(request_seconds: float) -> "httpx.Timeout":
    """The timeouts: for connecting, and for each part of the response."""
    import httpx

    return httpx.Timeout(request_seconds, connect=min(CONNECT_SECONDS, request_seconds))


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
                f"({type(error).__name__}: {error}); the received part is kept, and the next "
                "attempt resumes it"
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
                # The file is not longer than the received part, or another file is published now.
                start_over(partial)
                return self._fetch(client, month, partial, report)
            _refuse_status(month, url, response)
            _refuse_coding(month, url, response)
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
                        pass  # its headers are enough
        except httpx.TransportError as error:
            raise TransientStoreError(
                f"{month}: {url}: the source cannot be reached ({type(error).__name__}: {error}). "
                "Is the network up, and TAXI_SOURCE_URL right?"
            ) from error
        except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise PermanentStoreError(f"{month}: {url}: {error}; check TAXI_SOURCE_URL") from error
        status = response.status_code
        if status in NOT_PUBLISHED:
            return None
        if status != 200:
            kind = TransientStoreError if is_transient_status(status) else PermanentStoreError
            raise kind(f"{month}: {url} answered {status} {response.reason_phrase}")
        file = Published(
            url,
            ending_of(url),
            response.headers.get("ETag"),
            response.headers.get("Last-Modified"),
        )
        return file.version


def _resume_headers(partial: Path, url: str) -> dict[str, str]:
    """Headers that request the rest of an earlier download of the same version."""
    validator = validator_of(partial, url)
    if validator is None:
        return {}
    return {"Range": f"bytes={partial.stat().st_size}-", "If-Range": validator}


def _refuse_status(month: TripMonth, url: str, response: "httpx.Response") -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in NOT_PUBLISHED:
        raise PermanentStoreError(
            f"{month}: not published: {url} answered {status}. The TLC publishes about two months "
            "late; choose a month that is published, or set TAXI_SOURCE_URL to another source"
        )
    if is_transient_status(status):
        raise TransientStoreError(
            f"{month}: {url} answered {status} {response.reason_phrase}: try again later"
        )
    raise PermanentStoreError(
        f"{month}: {url} answered {status} {response.reason_phrase}; check TAXI_SOURCE_URL"
    )


def _refuse_coding(month: TripMonth, url: str, response: "httpx.Response") -> None:
    """Refuses what a server has packed unasked, but for gzip, which is read as it comes."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise PermanentStoreError(
            f"{month}: {url} is sent with Content-Encoding: {coding}, though it was asked for as "
            "it is; only gzip is read. Have the server send it as it is, or take another source"
        )


def is_transient_status(status: int) -> bool:
    """Whether a status is a transient fault, so that a retry may help."""
    return status in (408, 429) or status >= 500


def _receive(
    month: TripMonth,
    response: "httpx.Response",
    published: Published,
    partial: Path,
    report: Report,
) -> None:
    done, size = _place_of(month, response, published, partial)
    # A weak ETag does not guarantee the same bytes, so such a download is not resumed.
    strong = published.etag and not published.etag.startswith("W/")
    notes = {"url": published.url, "validator": published.etag if strong else None}
    with partial.open("r+b" if done else "wb") as file:
        file.seek(done)
        file.truncate()
        # Not earlier: notes of this version must never exist with bytes of an earlier one.
        notes_of(partial).write_text(json.dumps(notes))
        # Unbuffered: a partly filled buffer would be lost with the connection.
        for chunk in response.iter_raw():
            file.write(chunk)
            done += len(chunk)
            report(done, size)
    if size is not None and done != size:
        raise TransientStoreError(
            f"{month}: {published.url}: {done:,} bytes of {size:,} were received; the next "
            "attempt resumes it"
        )


def _compare_checksum(
    month: TripMonth, response: "httpx.Response", published: Published, partial: Path
) -> None:
    promised = promised_checksum(response.status_code, response.headers)
    if promised is None:
        return
    algorithm, value = promised
    if checksum_of(partial, algorithm) != value:
        start_over(partial)
        raise TransientStoreError(
            f"{month}: {published.url}: the received file has another {algorithm} than the "
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
            f"{month}: {published.url}: the server continued with "
            f"{'the wrong place' if same else 'another version'}; the next attempt starts over"
        )
    return int(given[1]), int(given[2]) if given[2].isdigit() else None
