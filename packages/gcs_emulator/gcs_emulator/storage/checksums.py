"""The two checksums of GCS, of a file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from gcs_emulator.errors import wrong_checksum

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checksums:
    """The checksums of a content, base64; as a client gives them, each may be missing."""

    crc32c: str | None = None
    md5: str | None = None

    def require(self, crc32c: str, md5: str) -> None:
        """Compares them with what was calculated.

        Raises:
            ApiError: one differs.
        """
        if self.crc32c not in (None, crc32c):
            raise wrong_checksum("CRC32C", str(self.crc32c), crc32c)
        if self.md5 not in (None, md5):
            raise wrong_checksum("MD5 hash", str(self.md5), md5)


def calculated(path: Path) -> tuple[str, str, int]:
    """CRC32C, MD5 and size of a file, read in pieces."""
    crc32c = google_crc32c.Checksum()
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc32c.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return _base64(crc32c.digest()), _base64(md5.digest()), size


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
