"""The objects of a landing zone in GCS: under a prefix of their own in the bucket of the trips.

``taxi_platform.landing.bucket`` says what they are. Trip objects, which stores are loaded from, are
in ``objects``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_platform.errors import TransientStoreError
from taxi_platform.landing.storage import LandedObject
from taxi_platform.stores.deadlines import StreamWithDeadline
from taxi_platform.stores.gcs.transfers import (
    MARK,
    Patience,
    not_ours,
    requiring_bucket,
    send_file,
)
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    from google.cloud import storage

PREFIX = "landing/"


class GCSLanding:
    """See ``ObjectStore``.

    Args:
        connect: returns the client; it is called when the first object is needed.
        bucket: the bucket's name.
        patience: how long transfers may take.
    """

    def __init__(
        self, connect: "Callable[[], storage.Client]", bucket: str, patience: Patience
    ) -> None:
        self._connect = connect
        self._name = bucket
        self._patience = patience

    @cached_property
    def _bucket(self) -> "storage.Bucket":
        return self._connect().bucket(self._name)

    def address(self, name: str) -> str:
        """See ``ObjectStore``."""
        return f"gs://{self._name}/{PREFIX}{name}"

    def find(
        self, month: TripMonth, name: str, generation: int | None = None
    ) -> LandedObject | None:
        """See ``ObjectStore``."""
        with self._errors(month, name):
            blob = self._bucket.get_blob(
                PREFIX + name, generation=generation, **self._patience.request
            )
        return None if blob is None else self._described(name, blob)

    def upload(
        self, month: TripMonth, name: str, path: Path, crc32c: str, facts: Mapping[str, str]
    ) -> LandedObject:
        """See ``ObjectStore``."""
        before = self.find(month, name)
        marked = {MARK: month.key, **facts}
        if before is not None and MARK not in before.facts:
            raise not_ours(month, self.address(name))
        if before is not None and before.crc32c == crc32c and before.facts == marked:
            return before
        with self._errors(month, name), requiring_bucket(month, self._name):
            blob = self._bucket.blob(PREFIX + name)
            replacing = before.generation if before else 0
            subject = f"{month}: {self.address(name)}"
            content_type = "application/octet-stream"
            send_file(blob, path, crc32c, marked, subject, replacing, self._patience, content_type)
            blob.reload(**self._patience.request)
        stored = self._described(name, blob)
        if stored.crc32c != crc32c:
            raise TransientStoreError(
                f"{month}: {stored.uri} is not what was sent: another writer replaced it "
                "meanwhile; try again"
            )
        return stored

    def download(self, month: TripMonth, stored: LandedObject, path: Path) -> None:
        """See ``ObjectStore``."""
        from google.api_core.exceptions import NotFound

        with self._errors(month, stored.name), path.open("wb") as file:
            blob = self._bucket.blob(PREFIX + stored.name, generation=stored.generation)
            what = f"{month}: {stored.uri}"
            try:
                blob.download_to_file(
                    StreamWithDeadline(file, what, self._patience.total_seconds),
                    raw_download=True,
                    checksum=None,  # whoever asked compares it
                    **self._patience.request,
                )
            except NotFound as error:
                raise TransientStoreError(
                    f"{what} was replaced or removed while it was read; try again"
                ) from error

    def delete(self, month: TripMonth, name: str) -> None:
        """See ``ObjectStore``."""
        from google.api_core.exceptions import NotFound

        with self._errors(month, name):
            try:
                self._bucket.blob(PREFIX + name).delete(**self._patience.request)
            except NotFound:
                return

    def _described(self, name: str, blob: Any) -> LandedObject:
        return LandedObject(
            name=name,
            uri=self.address(name),
            generation=int(blob.generation),
            size=int(blob.size),
            crc32c=blob.crc32c,
            facts=dict(blob.metadata or {}),
        )

    @contextmanager
    def _errors(self, month: TripMonth, name: str) -> Iterator[None]:
        from taxi_platform.stores.google_errors import google_errors

        try:
            with google_errors(month, f"GCS, {self.address(name)}"):
                yield
        except OSError as error:
            # Not of the disk: around this, those of the disk are named.
            if error.errno is not None and error.filename is not None:
                raise
            raise TransientStoreError(f"{month}: {self.address(name)}: {error}") from error
