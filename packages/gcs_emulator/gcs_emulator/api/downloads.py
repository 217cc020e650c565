"""Answers requests for the content of objects, whole or a range of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gcs_emulator.api.calls import conditions_of, number_of
from gcs_emulator.api.resources import etag
from gcs_emulator.errors import ApiError
from gcs_emulator.storage.records import ObjectRecord
from gcs_emulator.storage.store import Store

_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEADERS = {
    "cacheControl": "Cache-Control",
    "contentDisposition": "Content-Disposition",
    "contentEncoding": "Content-Encoding",
    "contentLanguage": "Content-Language",
}


@dataclass
class DownloadApi:
    """The content of objects."""

    store: Store

    async def get(self, request: Request) -> Response:
        """GET or HEAD: the content."""
        query = dict(request.query_params)
        conditions, generation = conditions_of(query), number_of(query, "generation")
        bucket, name = request.path_params["bucket"], request.path_params["object"]
        record, file = await run_in_threadpool(self.store.open, bucket, name, generation)
        try:
            conditions.require_for_reading(record)
            span = _span(request.headers.get("range", ""), record.size)
        except BaseException:
            file.close()
            raise
        return _answer(record, file, span, is_head=request.method == "HEAD")


def _answer(record: ObjectRecord, file: BinaryIO, span: range | None, *, is_head: bool) -> Response:
    sent = span if span is not None else range(record.size)
    headers = _headers_of(record) | {"Content-Length": str(len(sent))}
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{record.size}"
    status = 200 if span is None else 206
    if is_head:
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_chunks(file, sent), status_code=status, headers=headers)


def _headers_of(record: ObjectRecord) -> dict[str, str]:
    properties = record.properties
    headers = {name: properties[key] for key, name in _HEADERS.items() if key in properties}
    encoding = properties.get("contentEncoding", "identity")
    return headers | {
        "Accept-Ranges": "bytes",
        "Content-Type": properties.get("contentType", "application/octet-stream"),
        "ETag": f'"{etag(record)}"',
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Hash": f"crc32c={record.crc32c},md5={record.md5}",
        "X-Goog-Storage-Class": properties.get("storageClass", "STANDARD"),
        "X-Goog-Stored-Content-Encoding": encoding,
        "X-Goog-Stored-Content-Length": str(record.size),
        # A page that somebody stored must not run in the browser as this server's.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }


def _span(header: str, size: int) -> range | None:
    """The bytes that a Range header names; None for all, also if it cannot be understood.

    Raises:
        ApiError: the content has none of them.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first:
        span = range(int(first), min(int(last) + 1 if last else size, size))
    else:
        span = range(max(size - int(last), 0), size)
    if not span:
        raise ApiError(
            416, "requestedRangeNotSatisfiable", f"Request range not satisfiable: {header}"
        )
    return span


def _chunks(file: BinaryIO, span: range) -> Iterator[bytes]:
    with file:
        file.seek(span.start)
        left = len(span)
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk
