"""The web server of `taxi-platform metrics`: few threads, whatever its clients do."""

import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import make_wsgi_app
from prometheus_client.registry import Collector

PATH = "/metrics"

REQUEST_SECONDS = 5.0
"""Within this time a request has to arrive, and a client to take what it is sent."""

MOST_CONNECTIONS = 32
"""How many may be open at once. A monitoring system needs one."""


class MetricsServer(ThreadingMixIn, TCPServer):
    """Serves ``/metrics``; each connection has a thread, which it cannot keep."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, registry: Collector) -> None:
        """Listens.

        Args:
            host: the address or name to listen on.
            port: where; 0 for any.
            registry: what is measured.

        Raises:
            OSError: it cannot listen there.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        self._hosts = {host.lower(), "localhost"} if _is_loopback(str(address[0])) else None
        self._measured: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._silent: dict[socket.socket, float] = {}
        super().__init__((str(address[0]), port), _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """See ``BaseServer``. If too many are open, the one that has been silent longest goes."""
        with self._lock:
            self._open.add(request)
            self._silent[request] = time.monotonic() + REQUEST_SECONDS
            if len(self._open) > MOST_CONNECTIONS:
                # The new one, if all others are being answered.
                self._give_up(next(iter(self._silent)))
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """See ``BaseServer``. It is called twice a second, and with every connection."""
        now = time.monotonic()
        with self._lock:
            for request in [one for one, until in self._silent.items() if until < now]:
                self._give_up(request)

    def has_arrived(self, request: socket.socket) -> bool:
        """Whether the whole request is here; not if it ended because it was given up."""
        with self._lock:
            return self._silent.pop(request, None) is not None

    def _give_up(self, request: socket.socket) -> None:
        self._silent.pop(request, None)
        self._open.discard(request)
        with suppress(OSError):  # the client was quicker
            request.shutdown(socket.SHUT_RDWR)  # its thread, which reads, comes to the end

    def close_request(self, request: Any) -> None:
        """See ``BaseServer``."""
        with self._lock:
            self._silent.pop(request, None)
            self._open.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """See ``BaseServer``. A client that went away is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def is_meant(self, host: str | None) -> bool:
        """Whether a request with this ``Host`` is for this server.

        On loopback, the page of another site could otherwise read the metrics in a browser here, by
        a name that it has resolved to this host. Elsewhere any name may be right.
        """
        if self._hosts is None or host is None:  # browsers always send one
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or _is_loopback(name)

    def measure(self, accept: str, encodings: str) -> tuple[list[tuple[str, str]], bytes]:
        """The headers and the body of an answer.

        Args:
            accept: which formats the client reads.
            encodings: which encodings it reads.
        """
        headers: list[tuple[str, str]] = []
        asked = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": PATH,
            "HTTP_ACCEPT": accept,
            "HTTP_ACCEPT_ENCODING": encodings,
        }
        body = self._measured(asked, lambda _status, found: headers.extend(found))
        return headers, b"".join(body)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    # Of each read and write; the server knows how long all of a request may take.
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        if not self.server.has_arrived(self.connection):
            return
        path = self.path.partition("?")[0]
        if not self.server.is_meant(self.headers.get("Host")):
            says = "403: this Host is not known here. Use the address that the command shows\n"
            self._send(HTTPStatus.FORBIDDEN, says.encode())
        elif path == "/":
            self._send(HTTPStatus.OK, f"The metrics are at {PATH}\n".encode())
        elif path != PATH:
            self._send(HTTPStatus.NOT_FOUND, f"404: the metrics are at {PATH}\n".encode())
        else:
            accept = ",".join(self.headers.get_all("Accept", []))
            encodings = ",".join(self.headers.get_all("Accept-Encoding", []))
            headers, body = self.server.measure(accept, encodings)
            self._send(HTTPStatus.OK, body, headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_OPTIONS(self) -> None:
        if self.server.has_arrived(self.connection):
            self._send(HTTPStatus.OK, b"", [("Allow", "OPTIONS, GET, HEAD")])

    def _send(
        self, status: HTTPStatus, body: bytes, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain; charset=utf-8", **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "taxi-platform"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as in the base class)
        """Says nothing: a scrape is no event."""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"
