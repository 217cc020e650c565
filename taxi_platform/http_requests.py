"""HTTP requests that end: each has a total deadline, and none has its address logged."""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from taxi_platform.deadlines import Deadline, deadline

if TYPE_CHECKING:
    # Imported where it is used: it takes a third of a second, including its command line.
    import httpx

CONNECT_SECONDS = 10.0


class HttpClient:
    """A client within its deadline, which its user may renew.

    A user and password in an address are sent to its host as Basic authentication, and to no host
    that it redirects to.
    """

    def __init__(self, client: "httpx.Client") -> None:
        self._client = client
        self._sockets: list[socket.socket] = []
        self.deadline: Deadline

    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        json: object = None,
    ) -> "AbstractContextManager[httpx.Response]":
        """Sends a request; the body of the response is still to be read."""
        return self._client.stream(
            method, url, headers=headers, json=json, extensions={"trace": self._note_connection}
        )

    def break_off(self) -> None:
        """Ends the connections, from another thread."""
        for connected in list(self._sockets):
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _note_connection(self, _event: str, facts: Mapping[str, Any]) -> None:
        # httpcore calls this at each step of a request; some steps result in a connection.
        extra = getattr(facts.get("return_value"), "get_extra_info", None)
        if extra is not None and isinstance(connected := extra("socket"), socket.socket):
            self._sockets.append(connected)


@contextmanager
def http_client(
    silent_seconds: float, total_seconds: float, *, follow_redirects: bool = True
) -> Iterator[HttpClient]:
    """A client for one exchange.

    Args:
        silent_seconds: how long a server may send nothing.
        total_seconds: how long all within the block may take, unless the deadline is renewed.
        follow_redirects: whether to send a request to where it is redirected.

    Raises:
        DeadlineError: it took longer.
    """
    import httpx

    # At INFO, httpx logs the address of each request; at DEBUG, httpcore logs headers.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    timeout = httpx.Timeout(silent_seconds, connect=min(CONNECT_SECONDS, silent_seconds))
    with httpx.Client(follow_redirects=follow_redirects, timeout=timeout) as client:
        watched = HttpClient(client)
        said = f"it took longer than {total_seconds:g} s"
        with deadline(total_seconds, said, watched.break_off) as watched.deadline:
            yield watched
