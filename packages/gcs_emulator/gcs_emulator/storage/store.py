"""Buckets and objects in one folder: a catalog, and a file for each object's content.

Files are named by generation, so no name that a client chose is ever part of a path. A content is
written to `uploads/`, flushed to disk, and moved to `content/` before the catalog names it; a
process that is killed leaves files that nothing names, which the next start removes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from gcs_emulator.errors import conflict, no_bucket, no_object
from gcs_emulator.storage.catalog import Catalog, now_us
from gcs_emulator.storage.checksums import Checksums, calculated
from gcs_emulator.storage.records import Conditions, ObjectRecord


class FolderInUseError(Exception):
    """Another process has the folder open."""


@dataclass(frozen=True)
class NewObject:
    """An object to be stored.

    Attributes:
        bucket: the bucket's name.
        name: the object's name.
        properties: what the client sets.
        checksums: of the content, as far as the client gives them.
        conditions: on the object that it replaces.
    """

    bucket: str
    name: str
    properties: dict[str, Any]
    checksums: Checksums = field(default_factory=Checksums)
    conditions: Conditions = field(default_factory=Conditions)


class Store:
    """The open folder.

    Args:
        folder: made if it does not exist, for its owner only.

    Raises:
        FolderInUseError: another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self._uploads = folder / "uploads"
        self._content = folder / "content"
        for path in (folder, self._uploads, self._content):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        self._lock = _locked(folder / "lock")
        self._catalog = Catalog(folder / "catalog.sqlite")
        self._remove_leftovers()

    def close(self) -> None:
        """Closes the folder."""
        self._catalog.close()
        os.close(self._lock)

    def new_upload(self) -> Path:
        """An empty file for a content that is on its way."""
        path = self._uploads / secrets.token_hex(16)
        path.touch(mode=0o600)
        return path

    def buckets(self) -> dict[str, int]:
        """The buckets by name, with the time of each one's creation in microseconds."""
        return self._catalog.buckets()

    def bucket(self, name: str) -> int:
        """When a bucket was created.

        Raises:
            ApiError: it does not exist.
        """
        created = self.buckets().get(name)
        if created is None:
            raise no_bucket()
        return created

    def create_bucket(self, name: str) -> None:
        """Creates a bucket.

        Raises:
            ApiError: it exists.
        """
        with self._catalog.transaction():
            if name in self.buckets():
                raise conflict(
                    "Your previous request to create the named bucket succeeded and you already "
                    "own it."
                )
            self._catalog.add_bucket(name)

    def delete_bucket(self, name: str) -> None:
        """Deletes an empty bucket.

        Raises:
            ApiError: it does not exist, or has objects.
        """
        with self._catalog.transaction():
            self.bucket(name)
            if next(self._catalog.objects(name), None):
                raise conflict("The bucket you tried to delete is not empty.")
            self._catalog.remove_bucket(name)

    def objects(self, bucket: str, start: str) -> Iterator[ObjectRecord]:
        """The objects of a bucket from a name on, in the order of their names.

        Raises:
            ApiError: there is no such bucket.
        """
        self.bucket(bucket)
        return self._catalog.objects(bucket, start)

    def find(self, bucket: str, name: str, generation: int | None = None) -> ObjectRecord:
        """An object, of any generation or of this one.

        Raises:
            ApiError: there is none.
        """
        self.bucket(bucket)
        found = self._catalog.find(bucket, name)
        if found is None or generation not in (None, found.generation):
            raise no_object(bucket, name)
        return found

    def open(
        self, bucket: str, name: str, generation: int | None = None
    ) -> tuple[ObjectRecord, BinaryIO]:
        """An object and its content, which stays readable when the object is replaced.

        Raises:
            ApiError: there is none.
        """
        with self._catalog.transaction():
            found = self.find(bucket, name, generation)
            return found, self._content_of(found).open("rb")

    def put(self, new: NewObject, upload: Path) -> ObjectRecord:
        """Stores an upload as an object; the file is gone afterwards.

        Raises:
            ApiError: there is no such bucket, a condition does not hold, or a checksum differs.
        """
        try:
            crc32c, md5, size = calculated(upload)
            new.checksums.require(crc32c, md5)
            _flush(upload)
            with self._catalog.transaction():
                self.bucket(new.bucket)
                before = self._catalog.find(new.bucket, new.name)
                new.conditions.require(before)
                generation, now = self._catalog.next_generation(), now_us()
                record = ObjectRecord(
                    bucket=new.bucket,
                    name=new.name,
                    generation=generation,
                    metageneration=1,
                    size=size,
                    md5=md5,
                    crc32c=crc32c,
                    created_us=now,
                    updated_us=now,
                    properties=new.properties,
                )
                upload.replace(self._content_of(record))
                _flush(self._content)
                self._catalog.put(record)
        finally:
            upload.unlink(missing_ok=True)
        if before is not None:
            self._content_of(before).unlink(missing_ok=True)
        return record

    def copy(
        self,
        source: tuple[str, str, int | None],
        conditions: Conditions,
        copied: Callable[[ObjectRecord], NewObject],
    ) -> ObjectRecord:
        """Stores an object's content under another name, or with other properties.

        Args:
            source: bucket, name and generation; None for any.
            conditions: on the source.
            copied: the object to be stored, made from the source.

        Raises:
            ApiError: there is no source or no such bucket, a condition does not hold, or a checksum
                differs.
        """
        upload = self._uploads / secrets.token_hex(16)
        with self._catalog.transaction():
            found = self.find(*source)
            conditions.require_for_reading(found)
            # The content of a generation never changes.
            os.link(self._content_of(found), upload)
        try:
            return self.put(copied(found), upload)
        finally:
            upload.unlink(missing_ok=True)

    def require(self, bucket: str, name: str, conditions: Conditions) -> None:
        """Checks conditions on an object that may not exist.

        Raises:
            ApiError: there is no such bucket, or a condition does not hold.
        """
        self.bucket(bucket)
        conditions.require(self._catalog.find(bucket, name))

    def set_properties(
        self, found: ObjectRecord, properties: dict[str, Any], conditions: Conditions
    ) -> ObjectRecord:
        """Replaces an object's properties.

        Raises:
            ApiError: it was replaced or changed meanwhile, or a condition does not hold.
        """
        with self._catalog.transaction():
            conditions.require(found)
            if self._catalog.find(found.bucket, found.name) != found:
                raise conflict("The object was changed at the same time. Try again.")
            changed = replace(
                found,
                metageneration=found.metageneration + 1,
                updated_us=now_us(),
                properties=properties,
            )
            self._catalog.put(changed)
        return changed

    def delete(
        self, bucket: str, name: str, generation: int | None, conditions: Conditions
    ) -> None:
        """Deletes an object, of any generation or of this one.

        Raises:
            ApiError: there is none, or a condition does not hold.
        """
        with self._catalog.transaction():
            found = self.find(bucket, name, generation)
            conditions.require(found)
            self._catalog.remove(bucket, name)
        self._content_of(found).unlink(missing_ok=True)

    def _content_of(self, record: ObjectRecord) -> Path:
        return self._content / str(record.generation)

    def _remove_leftovers(self) -> None:
        """Removes the files of uploads and objects that a killed process left behind."""
        known = {str(generation) for generation in self._catalog.generations()}
        for path in (*self._uploads.iterdir(), *self._content.iterdir()):
            if path.parent == self._uploads or path.name not in known:
                path.unlink()


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise FolderInUseError(
            f"another process has {path.parent} open. Stop it, or choose another --data-dir."
        ) from error
    return descriptor


def _flush(path: Path) -> None:
    """Flushes a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
