"""Answers requests that bring content: in one request, or in several.

Contents are written to disk as they arrive. An upload that is never finished is removed after a
day, or when the emulator starts again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gcs_emulator.api.calls import base_url_of, conditions_of, parsed_body
from gcs_emulator.api.objects import checked_name
from gcs_emulator.api.resources import (
    given_checksums,
    given_properties,
    object_resource,
    without_removed,
)
from gcs_emulator.errors import ApiError, invalid
from gcs_emulator.storage.checksums import Checksums
from gcs_emulator.storage.records import ObjectRecord
from gcs_emulator.storage.store import NewObject, Store
from loopback_server.uploads import RESUME_INCOMPLETE, content_range, write_parts

_SESSION_SECONDS = 24 * 3600
_CLIENT_CLOSED = 499
# GCS keeps multiples of this of an upload that is not complete.
_UNIT_BYTES = 256 * 1024
_GIVEN_HASH = re.compile(r"(crc32c|md5)=([A-Za-z0-9+/=]+)")


@dataclass
class _Session:
    """A resumable upload.

    Attributes:
        new: the object that it makes.
        path: what has arrived.
        announced: the size that the client named at the start.
        stored: the object, once it is complete.
    """

    new: NewObject
    path: Path
    announced: int | None
    received: int = 0
    stored: ObjectRecord | None = None
    used: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class UploadApi:
    """The handlers of ``/upload``."""

    store: Store
    _sessions: dict[str, _Session] = field(default_factory=dict)

    async def start(self, request: Request) -> Response:
        """POST: a whole upload, or the beginning of a resumable one."""
        kind = request.query_params.get("uploadType")
        if kind == "media":
            return await self._media(request)
        if kind == "multipart":
            return await self._multipart(request)
        if kind == "resumable":
            return await self._begin(request)
        raise invalid(f"Invalid value for uploadType: {kind!r}")

    async def resume(self, request: Request) -> Response:
        """PUT: a piece of a resumable upload, or the question how much has arrived."""
        token = request.query_params.get("upload_id", "")
        session = self._session(token)
        async with session.lock:
            session.used = time.monotonic()
            if session.stored is None and not await self._receive(request, session):
                known = {"Range": f"bytes=0-{session.received - 1}"} if session.received else {}
                return Response(status_code=RESUME_INCOMPLETE, headers=known)
            if session.stored is None:
                try:
                    session.stored = await self._store(_with_hash(request, session), session.path)
                except ApiError:
                    del self._sessions[token]
                    raise
            return _answer(request, session.stored)

    async def cancel(self, request: Request) -> Response:
        """DELETE: a resumable upload is given up."""
        token = request.query_params.get("upload_id", "")
        session = self._session(token)
        async with session.lock:
            del self._sessions[token]
            session.path.unlink(missing_ok=True)
        return Response(status_code=_CLIENT_CLOSED)

    async def _media(self, request: Request) -> Response:
        new = _new_object(request, {}, request.headers.get("content-type"))
        path = self.store.new_upload()
        try:
            await _append(request.stream(), path, 0)
            return _answer(request, await self._store(_with_hash(request, new), path))
        finally:
            path.unlink(missing_ok=True)

    async def _multipart(self, request: Request) -> Response:
        path = self.store.new_upload()
        try:
            content_type = request.headers.get("content-type", "")
            parts = await write_parts(request.stream(), content_type, path)
            new = _new_object(request, parsed_body(parts.metadata), parts.content_type)
            return _answer(request, await self._store(_with_hash(request, new), path))
        finally:
            path.unlink(missing_ok=True)

    async def _begin(self, request: Request) -> Response:
        self._forget_old_sessions()
        resource = parsed_body(await request.body())
        new = _new_object(request, resource, request.headers.get("x-upload-content-type"))
        await run_in_threadpool(self.store.require, new.bucket, new.name, new.conditions)
        token = secrets.token_urlsafe(32)
        announced = request.headers.get("x-upload-content-length", "")
        self._sessions[token] = _Session(
            new, self.store.new_upload(), int(announced) if announced.isdecimal() else None
        )
        url = request.url.include_query_params(upload_id=token)
        return Response(headers={"Location": str(url), "X-GUploader-UploadID": token})

    async def _receive(self, request: Request, session: _Session) -> bool:
        """Takes what a request brings; says whether the content is complete."""
        header = request.headers.get("content-range")
        if header is None:
            session.received = await _append(request.stream(), session.path, 0)
            return True
        given = content_range(header)
        if given.total is not None and session.announced not in (None, given.total):
            raise invalid(f"The upload was announced with {session.announced} bytes")
        if given.first is not None:
            await self._take_piece(request, session, given.first)
        if given.total is not None and session.received > given.total:
            raise invalid(f"More than the {given.total} bytes of Content-Range were sent")
        if given.total == session.received:
            return True
        session.received -= session.received % _UNIT_BYTES
        return False

    async def _take_piece(self, request: Request, session: _Session, first: int) -> None:
        if first > session.received:
            raise invalid(
                f"Invalid Content-Range: it begins at {first}, but only {session.received} bytes "
                "have arrived"
            )
        try:
            session.received = await _append(request.stream(), session.path, first)
        except ClientDisconnect:
            arrived = session.path.stat().st_size
            session.received = arrived - arrived % _UNIT_BYTES
            raise

    async def _store(self, new: NewObject, path: Path) -> ObjectRecord:
        return await run_in_threadpool(self.store.put, new, path)

    def _session(self, token: str) -> _Session:
        session = self._sessions.get(token)
        if session is None:
            raise ApiError(404, "notFound", "There is no such upload: start it again")
        return session

    def _forget_old_sessions(self) -> None:
        now = time.monotonic()
        for token, session in list(self._sessions.items()):
            if now - session.used > _SESSION_SECONDS and not session.lock.locked():
                del self._sessions[token]
                session.path.unlink(missing_ok=True)


def _new_object(request: Request, resource: dict[str, Any], content_type: str | None) -> NewObject:
    query = dict(request.query_params)
    properties = without_removed(given_properties(resource))
    if content_type:
        properties.setdefault("contentType", content_type)
    if "contentEncoding" in query:
        properties["contentEncoding"] = query["contentEncoding"]
    return NewObject(
        bucket=request.path_params["bucket"],
        name=checked_name(str(query.get("name") or resource.get("name") or "")),
        properties=properties,
        checksums=given_checksums(resource),
        conditions=conditions_of(query),
    )


def _with_hash(request: Request, upload: _Session | NewObject) -> NewObject:
    """The object with the checksums that the last request's headers add."""
    new = upload.new if isinstance(upload, _Session) else upload
    given = dict(_GIVEN_HASH.findall(request.headers.get("x-goog-hash", "")))
    if "content-range" not in request.headers and "content-md5" in request.headers:
        given.setdefault("md5", request.headers["content-md5"])
    checksums = Checksums(
        crc32c=given.get("crc32c", new.checksums.crc32c), md5=given.get("md5", new.checksums.md5)
    )
    return replace(new, checksums=checksums)


async def _append(chunks: AsyncIterator[bytes], path: Path, start: int) -> int:
    """Writes to a file from a position on, and returns the position after it."""
    with path.open("r+b") as file:
        file.seek(start)
        file.truncate()
        async for chunk in chunks:
            file.write(chunk)
        return file.tell()


def _answer(request: Request, record: ObjectRecord) -> Response:
    return JSONResponse(object_resource(record, base_url_of(request)))
