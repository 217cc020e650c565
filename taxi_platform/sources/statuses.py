"""What a source's HTTP status means: published or not, refused, or worth another try."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from taxi_platform.errors import PermanentStoreError, StoreError, TransientStoreError
from taxi_platform.sources.address import SourceAddress

if TYPE_CHECKING:
    import httpx

NOT_FOUND: Final = frozenset({404, 410})
FORBIDDEN: Final = 403
NO_ACCESS: Final = frozenset({401, FORBIDDEN, 407})

PERMANENT: Final = NOT_FOUND | NO_ACCESS | {400, 402, 405, 406, 414, 431, 451}
"""All others are transient, also those that nobody knows: they may come from something between."""


def is_not_published(status: int, *, is_own_source: bool) -> bool:
    """Whether a status says that there is no such file.

    The TLC's server answers 403 if there is none. A source of one's own does not grant access.
    """
    return status in NOT_FOUND or (status == FORBIDDEN and not is_own_source)


def refusal(
    subject: object, address: SourceAddress, response: "httpx.Response", *, is_own_source: bool
) -> StoreError:
    """The error for a response that is not the file."""
    status = response.status_code
    said = f"{address} answered {status} {response.reason_phrase}".rstrip()
    if is_not_published(status, is_own_source=is_own_source):
        return PermanentStoreError(
            f"{subject}: not published: {said}. The TLC publishes about two months late; choose a "
            "month that is published, or set TAXI_SOURCE_URL to another source"
        )
    if status in NO_ACCESS:
        also = "; some servers, such as S3, also answer so if there is no such file"
        return PermanentStoreError(
            f"{subject}: access refused: {said}. Check the user and password, or the signature, in "
            f"TAXI_SOURCE_URL{also if status == FORBIDDEN else ''}"
        )
    if status in PERMANENT:
        return PermanentStoreError(f"{subject}: {said}; check TAXI_SOURCE_URL")
    return TransientStoreError(f"{subject}: {said}: try again later", retry_after(response.headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asks to wait (RFC 9110), None if it does not."""
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit() and len(given) < 10:
        return float(given)
    try:
        at = parsedate_to_datetime(given)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
