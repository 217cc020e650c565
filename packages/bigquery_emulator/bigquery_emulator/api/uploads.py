"""Load jobs whose file comes with the request: multipart and resumable uploads.

Files are written to disk as they arrive. A resumable upload that is never finished is removed when
the emulator starts again.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bigquery_emulator.api.http_calls import error_response, json_response, parsed_body
from bigquery_emulator.api.job_resource import shown
from bigquery_emulator.api.jobs import JobApi
from bigquery_emulator.errors import ApiError, invalid, not_found, unsupported
from bigquery_emulator.jobs.load import Files
from loopback_server.uploads import (
    RESUME_INCOMPLETE,
    MalformedUploadError,
    content_range,
    write_parts,
)


@dataclass
class _Session:
    """A resumable upload under way."""

    project: str
    body: dict[str, Any]
    path: Path
    received: int = 0


@dataclass
class UploadApi:
    """Answers requests below ``/upload``."""

    jobs: JobApi
    temp_dir: Path
    _sessions: dict[str, _Session] = field(default_factory=dict)

    async def start(self, request: Request) -> Response:
        """POST: a whole multipart upload, or the beginning of a resumable one."""
        try:
            kind = request.query_params.get("uploadType")
            if kind == "multipart":
                return await self._multipart(request)
            if kind == "resumable":
                return await self._begin(request)
            raise unsupported(f"uploads of the type {kind}")
        except MalformedUploadError as error:
            return error_response(invalid(str(error)))
        except ApiError as error:
            return error_response(error)

    async def resume(self, request: Request) -> Response:
        """PUT: a chunk of a resumable upload."""
        try:
            return await self._chunk(request)
        except MalformedUploadError as error:
            return error_response(invalid(str(error)))
        except ApiError as error:
            return error_response(error)

    async def _multipart(self, request: Request) -> Response:
        path = self._temporary_file()
        try:
            content_type = request.headers.get("content-type", "")
            parts = await write_parts(request.stream(), content_type, path)
            body = parsed_body(parts.metadata, None)
            return await self._insert(request, request.path_params["project"], body, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def _begin(self, request: Request) -> Response:
        encoding = request.headers.get("content-encoding")
        body = parsed_body(await request.body(), encoding)
        token = secrets.token_urlsafe(16)
        path = self._temporary_file()
        self._sessions[token] = _Session(request.path_params["project"], body, path)
        url = request.url.include_query_params(upload_id=token)
        return Response(
            status_code=200, headers={"Location": str(url), "X-GUploader-UploadID": token}
        )

    async def _chunk(self, request: Request) -> Response:
        token = request.query_params.get("upload_id", "")
        session = self._sessions.get(token)
        if session is None:
            raise not_found(f"Upload {token}")
        given = content_range(request.headers.get("content-range", "bytes 0-0/*"))
        if given.first is not None:
            if given.first > session.received:
                raise invalid("The chunk does not follow the one before")
            await _append(request.stream(), session, given.first)
        complete = given.total is not None and session.received >= given.total
        if "content-range" not in request.headers or complete:
            del self._sessions[token]
            return await self._insert(request, session.project, session.body, session.path)
        known = {"Range": f"bytes=0-{session.received - 1}"} if session.received else {}
        return Response(status_code=RESUME_INCOMPLETE, headers=known)

    async def _insert(
        self, request: Request, project: str, body: dict[str, Any], path: Path
    ) -> Response:
        try:
            job = await run_in_threadpool(
                self.jobs.insert_upload, project, body, _removed_afterwards(path)
            )
        except ApiError:
            path.unlink(missing_ok=True)
            raise
        return json_response(shown(job, str(request.base_url).rstrip("/")))

    def _temporary_file(self) -> Path:
        with tempfile.NamedTemporaryFile(dir=self.temp_dir, prefix="upload-", delete=False) as f:
            return Path(f.name)


@contextmanager
def _removed_afterwards(path: Path) -> Iterator[Files]:
    try:
        yield [("the uploaded file", path)]
    finally:
        path.unlink(missing_ok=True)


async def _append(chunks: AsyncIterator[bytes], session: _Session, start: int) -> None:
    with session.path.open("r+b") as file:
        file.seek(start)
        async for chunk in chunks:
            file.write(chunk)
        session.received = file.tell()
