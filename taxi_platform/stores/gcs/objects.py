"""Trip objects in Google Cloud Storage.

GCS guarantees that an object appears whole or not at all. In addition, this module compares the
uploaded object with the file, and detects a second writer.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.footers import is_of_platform, source_of_footer, totals_of_footer
from taxi_platform.stores.deadlines import TOTAL_SECONDS
from taxi_platform.stores.gcs.transfers import (
    MARK,
    REQUEST_SECONDS,
    Patience,
    copy_object,
    not_ours,
    requiring_bucket,
    send_file,
)
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals
from taxi_platform.trips.types import TRIP_TYPES

if TYPE_CHECKING:
    from google.cloud import storage

FOOTER_BYTES = 256 << 10
"""How much of an object's end is read first; the footer of a month has some 20 KB."""

PREFIX = "data/"

_OBJECT_NAME = re.compile(
    rf"{PREFIX}([a-z0-9]+)/\1_tripdata_(20[0-9][0-9]-(?:0[1-9]|1[0-2]))\.parquet"
)


@dataclass(frozen=True)
class TripObject:
    """A month's object in GCS.

    Attributes:
        month: color and month.
        bucket: bucket name.
        name: object name.
        generation: GCS's number of this version of the object.
        size: bytes.
        crc32c: checksum in GCS's format, base64.
        totals: from its Parquet footer; only rows, if another program wrote it.
        source: where the month was published, from its footer, if known.
    """

    month: TripMonth
    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    totals: MonthTotals
    source: str | None

    @property
    def uri(self) -> str:
        """The object's address: ``gs://bucket/name``."""
        return f"gs://{self.bucket}/{self.name}"


class _NotParquetError(Exception):
    """An object's content is not a Parquet file."""


class GCSTrips:
    """The trip objects of one bucket.

    The client's own retries are switched off: only the step's retry policy retries.
    """

    def __init__(
        self,
        client: "storage.Client",
        bucket: str,
        request_seconds: float = REQUEST_SECONDS,
        upload_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._client = client
        self.bucket = bucket
        self._patience = Patience(request_seconds, upload_seconds)

    def object_name(self, month: TripMonth) -> str:
        """The name of a month's object."""
        return f"{PREFIX}{month.color}/{month.stem}.parquet"

    def find(self, month: TripMonth) -> TripObject:
        """The month's object as it is now.

        Raises:
            PermanentStoreError: the object or the bucket does not exist or may not be read, or the
                object is not a Parquet file.
            TransientStoreError: GCS cannot be reached.
        """
        with self._errors(month):
            blob = self._get(month)
        if blob is None:
            raise PermanentStoreError(
                f"{month}: there is no object gs://{self.bucket}/{self.object_name(month)}: "
                "materialize gcs_trips for this partition first"
            )
        with self._errors(month):
            footer = self._read_footer_or_refuse(month, blob)
            totals, source = totals_of_footer(month, footer), source_of_footer(footer)
            return self._describe(month, blob, totals, source)

    def put_report(self, name: str, page: str) -> str:
        """Puts an HTML page into the bucket, which replaces an older one whole.

        Returns:
            Its address: ``gs://bucket/name``.

        Raises:
            PermanentStoreError: the bucket is not there, or may not be written.
            TransientStoreError: GCS cannot be reached.
        """
        from taxi_platform.stores.google_errors import google_errors

        with google_errors("report", f"GCS, gs://{self.bucket}/{name}"):
            self._client.bucket(self.bucket).blob(name).upload_from_string(
                page.encode(),
                content_type="text/html; charset=utf-8",
                retry=None,
                timeout=self._patience.request_seconds,
            )
        return f"gs://{self.bucket}/{name}"

    def generations(self) -> dict[TripMonth, int]:
        """The generations of all months' objects, with one listing.

        Raises:
            PermanentStoreError: the bucket is not there, or may not be listed.
            TransientStoreError: GCS cannot be reached.
        """
        from taxi_platform.stores.google_errors import google_errors

        found = {}
        with google_errors("trip objects", f"GCS, gs://{self.bucket}/{PREFIX}"):
            listed = self._client.list_blobs(
                self.bucket, prefix=PREFIX, retry=None, timeout=REQUEST_SECONDS
            )
            for blob in listed:
                match = _OBJECT_NAME.fullmatch(blob.name)
                if match and match[1] in TRIP_TYPES:
                    month = TripMonth.from_key(f"{match[1]}|{match[2]}")
                    found[month] = int(blob.generation)
        return found

    def upload(self, trips: TripParquet) -> tuple[TripObject, bool]:
        """Uploads a cleaned month to GCS, unless the object has this content.

        Returns:
            The object, and whether it was uploaded.

        Raises:
            PermanentStoreError: the bucket is not there or may not be written, or the object is
                somebody else's.
            TransientStoreError: GCS cannot be reached, or another writer was faster.
        """
        month = trips.month
        checksum = trips.crc32c
        with self._errors(month):
            before = self._get(month)
            if before is not None and before.crc32c == checksum:
                return self._describe(month, before, trips.totals, trips.source), False
            if before is not None:
                self._require_own(month, before)
            self._send(trips, checksum, before)
            after = self._get(month)
        if after is None or after.crc32c != checksum or after.size != trips.size:
            raise TransientStoreError(
                f"{month}: {self._address(month)} is not what was sent: another writer replaced "
                "or removed it meanwhile; try again"
            )
        return self._describe(month, after, trips.totals, trips.source), True

    def check_access(self) -> None:
        """Tests whether months can be uploaded: writes an object and removes it.

        Raises:
            PermanentStoreError: the bucket is not there or may not be written.
            TransientStoreError: GCS cannot be reached.
        """
        from taxi_platform.stores.google_errors import google_errors

        with google_errors("trips", f"GCS, gs://{self.bucket}"):
            blob = self._bucket().blob(f"doctor/{uuid.uuid4().hex}")
            with requiring_bucket("trips", self.bucket):
                blob.upload_from_string(b"", **self._patience.request)
            blob.delete(**self._patience.request)

    def _send(self, trips: TripParquet, checksum: str, before: Any) -> None:
        metadata = {MARK: trips.month.key}
        replacing = before.generation if before else 0
        blob = self._bucket().blob(self.object_name(trips.month))
        if source := self._landed(trips):
            copy = self._bucket().blob(self.object_name(trips.month))
            if copy_object(source, copy, metadata, replacing, self._patience):
                return
        subject = f"{trips.month}: {self._address(trips.month)}"
        with requiring_bucket(trips.month, self.bucket):
            send_file(blob, trips.path, checksum, metadata, subject, replacing, self._patience)

    def _landed(self, trips: TripParquet) -> "storage.Blob | None":
        """The object of the cleaned file, if the landing zone is in this bucket."""
        stored = trips.stored
        address = f"gs://{self.bucket}/"
        if stored is None or not stored.uri.startswith(address):
            return None
        name = stored.uri.removeprefix(address)
        return self._bucket().blob(name, generation=stored.generation)

    def _bucket(self) -> "storage.Bucket":
        return self._client.bucket(self.bucket)

    def _get(self, month: TripMonth) -> Any:
        return self._bucket().get_blob(self.object_name(month), **self._patience.request)

    def _address(self, month: TripMonth) -> str:
        return f"gs://{self.bucket}/{self.object_name(month)}"

    def _require_own(self, month: TripMonth, blob: Any) -> None:
        """Checks that the platform wrote an object: it is marked, or its footer has the summary.

        Earlier versions did not mark objects.
        """
        if MARK in (blob.metadata or {}):
            return
        try:
            is_own = is_of_platform(self._read_footer(month, blob))
        except _NotParquetError:
            is_own = False
        if not is_own:
            raise not_ours(month, self._address(month))

    def _read_footer_or_refuse(self, month: TripMonth, blob: Any) -> pq.FileMetaData:
        """The Parquet footer of the object, whoever wrote it."""
        try:
            return self._read_footer(month, blob)
        except _NotParquetError as error:
            raise PermanentStoreError(
                f"{month}: {self._address(month)} is not a Parquet file ({error}): move or delete "
                "it, and materialize gcs_trips for this partition again"
            ) from error

    def _read_footer(self, month: TripMonth, blob: Any) -> pq.FileMetaData:
        """The Parquet footer of this generation.

        Raises:
            _NotParquetError: it has none.
        """
        tail = self._read_end(month, blob, FOOTER_BYTES)
        needed = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < needed <= blob.size:
            tail = self._read_end(month, blob, needed)
        # Around this only: errors of the network are OSErrors too.
        try:
            return pq.read_metadata(pa.BufferReader(tail))
        except (pa.ArrowException, OSError) as error:
            raise _NotParquetError(str(error)) from error

    def _read_end(self, month: TripMonth, blob: Any, length: int) -> bytes:
        from google.api_core.exceptions import NotFound

        try:
            end: bytes = blob.download_as_bytes(
                start=max(0, blob.size - length), **self._patience.request
            )
        except NotFound as error:
            raise TransientStoreError(
                f"{month}: {self._address(month)} was replaced or removed while it was read; try "
                "again"
            ) from error
        return end

    def _describe(
        self, month: TripMonth, blob: Any, totals: MonthTotals, source: str | None
    ) -> TripObject:
        return TripObject(
            month=month,
            bucket=self.bucket,
            name=blob.name,
            generation=int(blob.generation),
            size=int(blob.size),
            crc32c=blob.crc32c,
            totals=totals,
            source=source,
        )

    @contextmanager
    def _errors(self, month: TripMonth) -> Iterator[None]:
        from taxi_platform.stores.google_errors import google_errors

        with google_errors(month, f"GCS, {self._address(month)}"):
            yield
