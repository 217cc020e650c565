"""Sends files to GCS and fetches them: checksums first, deadlines, and whose an object is.

The client's own retries are switched off: only the step's retry policy retries.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.deadlines import TOTAL_SECONDS, StreamWithDeadline

if TYPE_CHECKING:
    from google.cloud import storage

REQUEST_SECONDS = 60.0

CHUNK_BYTES = 16 << 20
"""The size of one request of a resumable upload; the timeout applies to each request."""

MARK = "taxi_platform"
"""The key of custom metadata that marks the platform's objects; the value is the month."""

PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True)
class Patience:
    """How long transfers may take.

    Attributes:
        request_seconds: the timeout of a request.
        total_seconds: the deadline of a transfer.
    """

    request_seconds: float = REQUEST_SECONDS
    total_seconds: float = TOTAL_SECONDS

    @property
    def request(self) -> dict[str, Any]:
        """Arguments for a request of the client."""
        return {"timeout": self.request_seconds, "retry": None}


def send_file(
    blob: "storage.Blob",
    path: Path,
    crc32c: str,
    metadata: Mapping[str, str],
    subject: str,
    replacing: int,
    patience: Patience,
    content_type: str = PARQUET,
) -> None:
    """Uploads a file; GCS compares the checksum before the object replaces an earlier one.

    Args:
        blob: the object.
        path: the file.
        crc32c: its checksum, base64.
        metadata: custom metadata of the object.
        subject: the partition and the object, for messages.
        replacing: the generation to be replaced; 0 if there is no object.
        patience: how long it may take.
        content_type: of the file.

    Raises:
        TransientStoreError: the file changed on its way, or the time is up.
    """
    from google.api_core.exceptions import BadRequest

    blob.chunk_size = CHUNK_BYTES
    # Sent first. The client's own comparison comes after the upload, and removes the object.
    blob.crc32c = crc32c
    blob.metadata = dict(metadata)
    try:
        with path.open("rb") as file:
            blob.upload_from_file(
                StreamWithDeadline(file, subject, patience.total_seconds),
                size=path.stat().st_size,
                content_type=content_type,
                checksum=None,
                if_generation_match=replacing,
                **patience.request,
            )
    except BadRequest as error:
        if "crc32c" not in str(error).lower():
            raise
        raise TransientStoreError(
            f"{subject} changed on its way, and GCS refused it; the earlier object is unchanged; "
            "try again"
        ) from error


def copy_object(
    source: "storage.Blob",
    blob: "storage.Blob",
    metadata: Mapping[str, str],
    replacing: int,
    patience: Patience,
) -> bool:
    """Copies a generation of an object within GCS, without its bytes passing this host.

    Args:
        source: the object, with its generation.
        blob: the copy.
        metadata: custom metadata of the copy.
        replacing: the generation to be replaced; 0 if there is no object.
        patience: how long it may take.

    Returns:
        Whether the source exists.
    """
    from google.api_core.exceptions import NotFound

    blob.metadata, blob.content_type = dict(metadata), PARQUET
    token = None
    while True:
        try:
            token, _, _ = blob.rewrite(
                source, token=token, if_generation_match=replacing, **patience.request
            )
        except NotFound:
            return False
        if token is None:
            return True


@contextmanager
def requiring_bucket(subject: object, bucket: str) -> Iterator[None]:
    """Maps NotFound of an upload, which means that there is no bucket.

    The bucket itself is not requested: permission to write objects does not include that.
    """
    from google.api_core.exceptions import NotFound

    try:
        yield
    except NotFound as error:
        raise PermanentStoreError(
            f"{subject}: there is no bucket gs://{bucket}: create it (gcloud storage buckets "
            f"create gs://{bucket}) or set TAXI_GCS_BUCKET to one that exists"
        ) from error


def not_ours(subject: object, address: str) -> PermanentStoreError:
    """The error for an object that the platform did not write."""
    return PermanentStoreError(
        f"{subject}: {address} was not written by the platform, so it is not replaced: move it "
        f"(gcloud storage mv {address} …), or set TAXI_GCS_BUCKET to another bucket"
    )
