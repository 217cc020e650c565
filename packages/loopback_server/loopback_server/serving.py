"""Runs an emulator's application on loopback, behind the guard."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from loopback_server.guard import PEER_OWNER, Guard
from loopback_server.peers import owner_of_peer, peers_are_known

LOOPBACK = "127.0.0.1"
_STOP_SECONDS = 5


class _Connection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """One connection, whose requests learn whose it is.

    It is looked up once, when the connection is made: the table of all connections takes
    milliseconds to read, and forgets the owner once the other end has been closed.
    """

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        ends = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.app_state = {**self.app_state, PEER_OWNER: owner_of_peer(*(end[:2] for end in ends))}


def serve(app: ASGIApp, port: int, service: str) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        app: what answers.
        port: of 127.0.0.1.
        service: its name, for messages.
    """
    known = peers_are_known()
    if not known:
        sys.stderr.write(
            f"{service}: this system has no /proc/self/net/tcp, so other users of this machine "
            "are not refused\n"
        )
    # Uvicorn raises the signal again when it has stopped, which is a clean end here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        Guard(app, port, service),
        host=LOOPBACK,
        port=port,
        http=_Connection if known else "auto",
        ws="none",
        log_level="warning",
        # They would let a client say whose it is.
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
