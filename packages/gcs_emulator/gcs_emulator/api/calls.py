"""What the routes share: a request taken apart, and the answer put together.

Handlers are plain functions of a `Call` that return a JSON object or raise `ApiError`. They run in
threads, because disks block.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gcs_emulator.errors import ApiError, NotModifiedError, invalid, unsupported
from gcs_emulator.storage.records import Conditions
from loopback_server.uploads import MalformedUploadError

_MEANINGFUL_PARAMETERS = (
    *("kmsKeyName", "matchGlob", "softDeleted", "versions", "filter", "includeTrailingDelimiter"),
    *("includeFoldersAsPrefixes", "restoreToken", "destinationKmsKeyName", "dropContextGroups"),
)
_ENCRYPTION = "x-goog-encryption-algorithm"


@dataclass(frozen=True)
class Call:
    """One request of a client.

    Attributes:
        path: the names in the path, such as ``bucket``.
        query: the parameters after the question mark.
        body: the JSON object sent, or an empty one.
        base_url: how the client reached the server, for links in answers.
    """

    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    base_url: str

    @property
    def conditions(self) -> Conditions:
        """The conditions among the parameters."""
        return conditions_of(self.query)

    @property
    def generation(self) -> int | None:
        """The generation that is meant."""
        return number_of(self.query, "generation")


Handler = Callable[[Call], dict[str, Any] | None]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(handler: Handler) -> Endpoint:
    """A route's endpoint that runs a handler in a thread and answers what it returns."""

    async def answer(request: Request) -> Response:
        call = Call(
            path={key: str(value) for key, value in request.path_params.items()},
            query=dict(request.query_params),
            body=parsed_body(await request.body()),
            base_url=base_url_of(request),
        )
        result = await run_in_threadpool(handler, call)
        return Response(status_code=204) if result is None else JSONResponse(result)

    return guarded(answer)


def guarded(inner: Endpoint) -> Endpoint:
    """An endpoint that answers errors as Google does, and refuses what has no effect here."""

    async def answer(request: Request) -> Response:
        try:
            _require_supported(request)
            return await inner(request)
        except NotModifiedError:
            return Response(status_code=304)
        except MalformedUploadError as error:
            return error_response(invalid(str(error)))
        except ApiError as error:
            return error_response(error)

    return answer


def error_response(error: ApiError) -> Response:
    """An answer in Google's error shape."""
    detail = {"message": error.message, "domain": "global", "reason": error.reason}
    body = {"code": error.code, "message": error.message, "errors": [detail]}
    return JSONResponse({"error": body}, status_code=error.code)


def parsed_body(raw: bytes) -> dict[str, Any]:
    """The JSON object that a client sent.

    Raises:
        ApiError: it is not one.
    """
    try:
        parsed = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise invalid(f"Parse Error: {error}") from error
    if not isinstance(parsed, dict):
        raise invalid("Parse Error: not an object")
    return parsed


def base_url_of(request: Request) -> str:
    """The address at which the client reached the server."""
    return str(request.base_url).rstrip("/")


def conditions_of(query: dict[str, str]) -> Conditions:
    """The conditions among a request's parameters.

    Raises:
        ApiError: one is not a number.
    """
    return _conditions(query, "if")


def source_conditions_of(query: dict[str, str]) -> Conditions:
    """The conditions on the object that is copied.

    Raises:
        ApiError: one is not a number.
    """
    return _conditions(query, "ifSource")


def _conditions(query: dict[str, str], prefix: str) -> Conditions:
    return Conditions(
        generation=number_of(query, f"{prefix}GenerationMatch"),
        not_generation=number_of(query, f"{prefix}GenerationNotMatch"),
        metageneration=number_of(query, f"{prefix}MetagenerationMatch"),
        not_metageneration=number_of(query, f"{prefix}MetagenerationNotMatch"),
    )


def number_of(query: dict[str, str], name: str) -> int | None:
    """A parameter that is a number, if it is given.

    Raises:
        ApiError: it is not a number.
    """
    given = query.get(name)
    if given is None:
        return None
    if not given.isascii() or not given.isdecimal():
        raise invalid(f"Invalid value for {name}: {given!r} is not a number")
    return int(given)


def _require_supported(request: Request) -> None:
    for name in _MEANINGFUL_PARAMETERS:
        if request.query_params.get(name, "false").lower() != "false":
            raise unsupported(f"the parameter {name}")
    if _ENCRYPTION in request.headers:
        raise unsupported("keys of the customer's")
