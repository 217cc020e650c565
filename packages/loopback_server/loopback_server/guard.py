"""Refuses requests that do not come from a program of the server's own user."""

from __future__ import annotations

import os

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PEER_OWNER = "loopback_server.peer_owner"
"""The key, in a request's state, of the user id at the other end; absent if it is not known."""

_NAMES = ("127.0.0.1", "localhost")


class Guard:
    """An ASGI application that passes on what is allowed and answers 403 to the rest.

    Args:
        app: what answers the requests that are allowed.
        port: the server's.
        service: its name, for messages.
    """

    def __init__(self, app: ASGIApp, port: int, service: str) -> None:
        self._app = app
        self._service = service
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http" and (reason := self._refusal(scope)):
            await _forbidden(f"The {self._service} refuses this request: {reason}")(
                scope, receive, send
            )
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        return (
            self._wrong_host(headers.getlist("host"))
            or self._wrong_origin(headers.getlist("origin"))
            or _wrong_site(headers.getlist("sec-fetch-site"))
            or _wrong_owner(scope)
        )

    def _wrong_host(self, hosts: list[str]) -> str | None:
        if len(hosts) == 1 and hosts[0].lower() in self._hosts:
            return None
        return (
            f"its Host is {', '.join(hosts) or 'missing'} and not {min(self._hosts)}. Use that "
            "address; a proxy in front of it must set Host to it"
        )

    def _wrong_origin(self, origins: list[str]) -> str | None:
        if all(origin.lower() in self._origins for origin in origins):
            return None
        return (
            f"it comes from a web page of {', '.join(origins)}. Pages of others have no access; "
            "open the address itself, or use a client library"
        )


def _wrong_site(sites: list[str]) -> str | None:
    # Browsers send no Origin with the links, pictures and scripts of a page.
    if all(site.lower() in ("same-origin", "none") for site in sites):
        return None
    return "it comes from a web page of others, which have no access. Open the address itself"


def _wrong_owner(scope: Scope) -> str | None:
    state = scope.get("state", {})
    if PEER_OWNER not in state:
        return None
    owner = state[PEER_OWNER]
    if owner in (os.geteuid(), 0):
        return None
    whose = "of a process that has ended" if owner is None else f"of the user with the id {owner}"
    return (
        f"it is {whose}, and the server belongs to the user with the id {os.geteuid()}. Run the "
        "program as that user, or start servers of your own"
    )


def _forbidden(message: str) -> JSONResponse:
    detail = {"message": message, "domain": "global", "reason": "forbidden"}
    error = {"code": 403, "message": message, "errors": [detail], "status": "PERMISSION_DENIED"}
    # The request's body stays unread, so the connection cannot be used again.
    return JSONResponse({"error": error}, status_code=403, headers={"Connection": "close"})
