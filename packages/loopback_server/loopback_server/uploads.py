"""The bodies of Google's uploads: two parts in one request, or a file in several requests.

Contents are written to files as they arrive.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

RESUME_INCOMPLETE = 308
_LONGEST_METADATA = 10 * 2**20
_LONGEST_END = 64
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_CONTENT_TYPE = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class MalformedUploadError(Exception):
    """The body or the headers of an upload cannot be understood; the message says why."""


@dataclass(frozen=True)
class ContentRange:
    """What a request of a resumable upload says about the file.

    Attributes:
        first: position of the first byte sent; None if it only asks how much has arrived.
        total: the file's size; None if it is not known yet.
    """

    first: int | None
    total: int | None


@dataclass(frozen=True)
class Parts:
    """The parts of a multipart upload, besides the content.

    Attributes:
        metadata: the first part.
        content_type: of the second, if it is given.
    """

    metadata: bytes
    content_type: str | None


def content_range(header: str) -> ContentRange:
    """A Content-Range header taken apart.

    Raises:
        MalformedUploadError: it is not one.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise MalformedUploadError(f"Invalid Content-Range: {header}")
    first, _, total = match.groups()
    return ContentRange(
        first=None if first is None else int(first),
        total=None if total == "*" else int(total),
    )


async def write_parts(chunks: AsyncIterator[bytes], content_type: str, path: Path) -> Parts:
    """Writes the second part of a multipart body to a file, and returns the rest.

    Raises:
        MalformedUploadError: the body does not have two parts.
    """
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise MalformedUploadError("A multipart upload needs a boundary")
    boundary = b"--" + match[1].encode()
    head = b""
    async for chunk in chunks:
        head += chunk
        parts = head.split(boundary, 2)
        if len(parts) == 3 and b"\r\n\r\n" in parts[2]:
            break
        if len(head) > _LONGEST_METADATA:
            raise MalformedUploadError("The first part of the multipart body is too long")
    else:
        raise MalformedUploadError("The multipart body does not have two parts")
    headers, content = parts[2].split(b"\r\n\r\n", 1)
    with path.open("w+b") as file:
        file.write(content)
        async for chunk in chunks:
            file.write(chunk)
        _cut_end(file, boundary)
    named = _CONTENT_TYPE.search(headers)
    return Parts(
        metadata=parts[1].split(b"\r\n\r\n", 1)[-1],
        content_type=named[1].decode("latin-1").strip() if named else None,
    )


def _cut_end(file: BinaryIO, boundary: bytes) -> None:
    """Cuts off the line that ends a multipart body."""
    size = file.tell()
    tail_length = min(size, len(boundary) + _LONGEST_END)
    file.seek(size - tail_length)
    end = file.read(tail_length).rfind(b"\r\n" + boundary + b"--")
    if end < 0:
        raise MalformedUploadError("The multipart body is not complete")
    file.truncate(size - tail_length + end)
