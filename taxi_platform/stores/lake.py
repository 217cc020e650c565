"""Trip objects in Google Cloud Storage.

An object appears whole or not at all, which is GCS's own promise; what is added here is that what
arrived is compared with what was sent, and that a second writer is noticed.
"""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.files import TripParquet
from taxi_platform.trips.month import COLORS, TripMonth

if TYPE_CHECKING:
    from google.cloud import storage

PREFIX = "data/"

_OBJECT_NAME = re.compile(
    rf"{PREFIX}({'|'.join(COLORS)})/\1_tripdata_(20[0-9][0-9]-(?:0[1-9]|1[0-2]))\.parquet"
)

REQUEST_SECONDS = 60
UPLOAD_SECONDS = 600


@dataclass(frozen=True)
class TripObject:
    """A month's object in the lake.

    Attributes:
        month: color and month.
        bucket: bucket name.
        name: object name.
        generation: GCS's number of this version of the object.
        size: bytes.
        crc32c: checksum as GCS spells it, base64.
        rows: rows that its writer says it holds; None for an object put there by others.
        total_amount: sum of ``total_amount``, US dollars; None likewise.
    """

    month: TripMonth
    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    rows: int | None
    total_amount: Decimal | None

    @property
    def uri(self) -> str:
        """The object's address: ``gs://bucket/name``."""
        return f"gs://{self.bucket}/{self.name}"


class TripLake:
    """The trip objects of one bucket.

    The client's own retries are switched off: the step's retry policy is the one layer.
    """

    def __init__(self, client: "storage.Client", bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def object_name(self, month: TripMonth) -> str:
        """The name of a month's object."""
        return f"{PREFIX}{month.color}/{month.stem}.parquet"

    def find(self, month: TripMonth) -> TripObject:
        """The month's object as it is now.

        Raises:
            PermanentStoreError: the object, or the bucket, is not there, or may not be read.
            TransientStoreError: GCS cannot be reached.
        """
        with self._errors(month):
            blob = self._get(month)
        if blob is None:
            raise PermanentStoreError(
                f"{month}: there is no object gs://{self.bucket}/{self.object_name(month)}: "
                "materialize gcs_trips for this partition first"
            )
        return self._describe(month, blob)

    def generations(self) -> dict[TripMonth, int]:
        """The generation of every month's object that there is now, by one listing.

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
                if match := _OBJECT_NAME.fullmatch(blob.name):
                    month = TripMonth.from_key(f"{match[1]}|{match[2]}")
                    found[month] = int(blob.generation)
        return found

    def upload(self, trips: TripParquet) -> tuple[TripObject, bool]:
        """Puts a cleaned month into the lake, unless exactly that is there already.

        Returns:
            The object, and whether it was uploaded.

        Raises:
            PermanentStoreError: the bucket is not there or may not be written.
            TransientStoreError: GCS cannot be reached, or another writer was faster.
        """
        month = trips.month
        checksum = crc32c_of(trips.path)
        facts = {"rows": str(trips.rows), "total_amount": str(trips.total_amount)}
        with self._errors(month):
            before = self._get(month)
            if before is not None and before.crc32c == checksum and before.metadata == facts:
                return self._describe(month, before), False
            blob = self._bucket().blob(self.object_name(month))
            blob.metadata = facts
            blob.upload_from_filename(
                str(trips.path),
                content_type="application/vnd.apache.parquet",
                checksum="crc32c",
                if_generation_match=before.generation if before else 0,
                timeout=UPLOAD_SECONDS,
                retry=None,
            )
            after = self._get(month)
        if after is None or after.crc32c != checksum or after.size != trips.size:
            raise TransientStoreError(
                f"{month}: {self._address(month)} is not what was sent: another writer replaced "
                "or removed it meanwhile; try again"
            )
        return self._describe(month, after), True

    def _bucket(self) -> "storage.Bucket":
        return self._client.bucket(self.bucket)

    def _get(self, month: TripMonth) -> Any:
        bucket = self._bucket()
        blob = bucket.get_blob(self.object_name(month), retry=None, timeout=REQUEST_SECONDS)
        if blob is None and not bucket.exists(retry=None, timeout=REQUEST_SECONDS):
            raise PermanentStoreError(
                f"{month}: there is no bucket gs://{self.bucket}: create it (gcloud storage "
                f"buckets create gs://{self.bucket}) or set TAXI_GCS_BUCKET to one that exists"
            )
        return blob

    def _address(self, month: TripMonth) -> str:
        return f"gs://{self.bucket}/{self.object_name(month)}"

    def _describe(self, month: TripMonth, blob: Any) -> TripObject:
        facts = blob.metadata or {}
        return TripObject(
            month=month,
            bucket=self.bucket,
            name=blob.name,
            generation=int(blob.generation),
            size=int(blob.size),
            crc32c=blob.crc32c,
            rows=int(facts["rows"]) if "rows" in facts else None,
            total_amount=Decimal(facts["total_amount"]) if "total_amount" in facts else None,
        )

    @contextmanager
    def _errors(self, month: TripMonth) -> Iterator[None]:
        from taxi_platform.stores.google_errors import google_errors

        with google_errors(month, f"GCS, {self._address(month)}"):
            yield


def crc32c_of(path: Path) -> str:
    """CRC32C of a file, as GCS spells it: base64 of the big-endian bytes."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        for _ in checksum.consume(file, 1 << 20):
            pass
    return base64.b64encode(checksum.digest()).decode()
