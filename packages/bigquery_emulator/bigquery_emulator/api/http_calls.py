"""What the routes share: a request taken apart, and the answer put together.

Handlers are plain functions of a `Call` that return a JSON object or raise `ApiError`. They run in
threads, because DuckDB blocks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bigquery_emulator.errors import ApiError, invalid

_STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}
_CODE_OF_REASON = {
    "notFound": 404,
    "duplicate": 409,
    "conditionNotMet": 412,
    "internalError": 500,
    "backendError": 500,
    "notImplemented": 501,
}


@dataclass(frozen=True)
class Call:
    """One request of a client.

    Attributes:
        path: the names in the path, such as ``project``.
        query: the parameters after the question mark.
        body: the JSON object sent, or an empty one.
        if_match: the etag that the client knows, if it sent one.
        base_url: how the client reached the server, for links in answers.
    """

    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    if_match: str | None
    base_url: str


Handler = Callable[[Call], dict[str, Any] | None]


def endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A route's endpoint that runs a handler in a thread and answers what it returns."""

    async def answer(request: Request) -> Response:
        try:
            call = await _call(request)
            return json_response(await run_in_threadpool(handler, call))
        except ApiError as error:
            return error_response(error)

    return answer


def json_response(body: dict[str, Any] | None) -> Response:
    """An answer that went well; without a body if there is none."""
    return Response(status_code=204) if body is None else JSONResponse(body)


def error_response(error: ApiError) -> Response:
    """An answer in Google's error shape."""
    code = _CODE_OF_REASON.get(error.reason, 400)
    detail = {"message": error.message, "domain": "global", "reason": error.reason}
    body = {
        "code": code,
        "message": error.message,
        "errors": [detail],
        "status": _STATUS_OF_CODE[code],
    }
    return JSONResponse({"error": body}, status_code=code)


async def _call(request: Request) -> Call:
    return Call(
        path={key: str(value) for key, value in request.path_params.items()},
        query=dict(request.query_params),
        body=parsed_body(await request.body(), request.headers.get("content-encoding")),
        if_match=request.headers.get("if-match"),
        base_url=str(request.base_url).rstrip("/"),
    )


def parsed_body(raw: bytes, encoding: str | None) -> dict[str, Any]:
    """The JSON object that a client sent, plain or compressed.

    Raises:
        ApiError: it is not one.
    """
    try:
        if encoding == "gzip":
            raw = gzip.decompress(raw)
        parsed = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError, OSError, EOFError, zlib.error) as error:
        raise invalid(f"Invalid JSON payload received: {error}") from error
    if not isinstance(parsed, dict):
        raise invalid("Invalid JSON payload received: not an object")
    return parsed


def etag(*parts: object) -> str:
    """A tag that changes with the parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:22]


def listed(
    items: list[dict[str, Any]], query: dict[str, str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The items of one page of a list, and the token of the next page, if there is one.

    Raises:
        ApiError: the paging parameters are not numbers.
    """
    try:
        start = int(query.get("pageToken") or 0)
        most = int(query.get("maxResults") or 1000)
    except ValueError as error:
        raise invalid(f"Invalid paging parameters: {error}") from error
    after = start + most
    return items[start:after], {"nextPageToken": str(after)} if after < len(items) else {}
