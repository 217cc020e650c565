"""What is known of an object, and the conditions on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gcs_emulator.errors import NotModifiedError, condition_not_met


@dataclass(frozen=True)
class ObjectRecord:
    """One version of an object.

    Attributes:
        bucket: the bucket's name.
        name: the object's name.
        generation: number of its content; every later one is larger.
        metageneration: number of its properties, from 1 for each generation.
        size: bytes.
        md5: of the content, base64.
        crc32c: likewise.
        created_us: microseconds since 1970.
        updated_us: likewise, of the properties.
        properties: what clients may set, such as ``contentType``, by Google's names.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int
    md5: str
    crc32c: str
    created_us: int
    updated_us: int
    properties: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Conditions:
    """The versions that a client expects; generation 0 is that of an object that is not there."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    def require(self, found: ObjectRecord | None) -> None:
        """Checks them before a change.

        Raises:
            ApiError: one does not hold.
        """
        if not (self._wanted(found) and self._changed(found)):
            raise condition_not_met()

    def require_for_reading(self, found: ObjectRecord) -> None:
        """Checks them before an answer.

        Raises:
            ApiError: the client wants another version.
            NotModifiedError: the client has this version.
        """
        if not self._wanted(found):
            raise condition_not_met()
        if not self._changed(found):
            raise NotModifiedError

    def _wanted(self, found: ObjectRecord | None) -> bool:
        generation, metageneration = _versions(found)
        return self.generation in (None, generation) and self.metageneration in (
            None,
            metageneration,
        )

    def _changed(self, found: ObjectRecord | None) -> bool:
        generation, metageneration = _versions(found)
        return generation != self.not_generation and metageneration != self.not_metageneration


def _versions(found: ObjectRecord | None) -> tuple[int, int]:
    return (found.generation, found.metageneration) if found else (0, 0)
