"""Checksums that servers send with a file, and the checksum of a received file.

RFC 9530 (``Repr-Digest``), RFC 3230 (``Digest``), RFC 1864 (``Content-MD5``), and Google Cloud
Storage's ``x-goog-hash``. All but ``Content-MD5`` are of the whole file, also in the response to a
range request.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

_STRONGEST_FIRST = ("sha512", "sha256", "md5", "crc32c")

_PAIR = re.compile(r"([A-Za-z0-9-]+)=:?([A-Za-z0-9+/=]+?):?(?:,|$)")


def promised_checksum(status: int, headers: Mapping[str, str]) -> tuple[str, bytes] | None:
    """The strongest checksum of the whole file in a response: its algorithm and value.

    Args:
        status: of the response, 200 or 206.
        headers: of the response; several with the same name are joined by commas.
    """
    given = ", ".join(headers.get(name, "") for name in ("Repr-Digest", "Digest"))
    # GCS decompresses objects that are stored compressed, but sends the stored checksum.
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        given += f", {headers.get('x-goog-hash', '')}"
    if status == 200 and "Content-MD5" in headers:
        given += f", md5={headers['Content-MD5']}"
    found: dict[str, bytes] = {}
    for name, value in _PAIR.findall(given):
        try:
            found.setdefault(name.lower().replace("-", ""), base64.b64decode(value, validate=True))
        except binascii.Error:
            continue
    return next(((name, found[name]) for name in _STRONGEST_FIRST if name in found), None)


def checksum_of(path: Path, algorithm: str) -> bytes:
    """A file's checksum; crc32c in GCS's byte order."""
    if algorithm == "crc32c":
        import google_crc32c

        crc = google_crc32c.Checksum()
        with path.open("rb") as file:
            for _ in crc.consume(file, 1 << 20):
                pass
        return bytes(crc.digest())
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: digest).digest()
