"""A reverse proxy on loopback that answers as an HTTP server does whose day is bad.

It stands in front of a real server and passes everything on, but for the requests that a fault
is set to spoil. Clients are the platform's own; they know the proxy by its address alone.
"""

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host"}
_UPSTREAM_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """What a server answers; ``headers`` include the length that it claims."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def with_body(self, body: bytes) -> "Answer":
        return replace(self, body=body, headers={**self.headers, "Content-Length": str(len(body))})

    def with_headers(self, **headers: str) -> "Answer":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {k: v for k, v in self.headers.items() if k.lower() not in map(str.lower, named)}
        return replace(self, headers=kept | named)


class Exchange:
    """One request, and what a fault may do with it."""

    def __init__(self, handler: BaseHTTPRequestHandler, proxy: "HttpFaultProxy") -> None:
        self._handler = handler
        self._proxy = proxy
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self._length = int(handler.headers.get("Content-Length") or 0)

    @cached_property
    def body(self) -> bytes:
        return self._handler.rfile.read(self._length)

    def forward(self, body: bytes | None = None) -> Answer:
        """What the server behind answers, its own address in it replaced by the proxy's."""
        upstream = urlsplit(self._proxy.upstream)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(
            upstream.hostname or "", upstream.port, timeout=_UPSTREAM_SECONDS
        )
        try:
            connection.request(self.method, self.path, self.body if body is None else body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        own = {
            name.title(): value.replace(self._proxy.upstream, self._proxy.url)
            for name, value in response.getheaders()
            if name.lower() not in _HOP_BY_HOP
        }
        answer = Answer(response.status, own, content)
        if own.get("Content-Type", "").startswith("application/json"):
            return answer.with_body(
                content.replace(self._proxy.upstream.encode(), self._proxy.url.encode())
            )
        return answer if "Content-Length" in own else answer.with_body(content)

    def send(self, answer: Answer, most: int | None = None) -> None:
        """Sends an answer: all of its head, and of its body so many bytes at most."""
        self._handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(answer.body[:most])
        self._handler.wfile.flush()

    def hang(self) -> None:
        """Says nothing more until the proxy stops."""
        self._proxy.stopping.wait()
        self._handler.close_connection = True

    def close(self) -> None:
        """Closes the connection in good order, whatever was promised on it."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Breaks the connection, also in the middle of the request's body."""
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.close_connection = True

    def read_half_of_the_body(self) -> None:
        """Of a body that nobody has read yet."""
        if "body" not in self.__dict__:
            self._handler.rfile.read(self._length // 2)


Does = Callable[[Exchange], None]


def answering(status: int, reason: str = "backendError", message: str = "a fault") -> Does:
    """The server refuses, in Google's words, and has done nothing."""

    def fault(exchange: Exchange) -> None:
        _ = exchange.body
        error = {
            "code": status,
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": reason}],
        }
        empty = Answer(status, {"Content-Type": "application/json"}, b"")
        exchange.send(empty.with_body(json.dumps({"error": error}).encode()))

    return fault


def hanging(exchange: Exchange) -> None:
    """The server takes the request and says nothing."""
    _ = exchange.body
    exchange.hang()


def closing_mid_answer(exchange: Exchange) -> None:
    """The server does what was asked and dies half-way through its answer."""
    answer = exchange.forward()
    exchange.send(answer, most=len(answer.body) // 2)
    exchange.close()


def stalling_mid_answer(exchange: Exchange) -> None:
    """The server says half of its answer, and then nothing."""
    answer = exchange.forward()
    exchange.send(answer, most=len(answer.body) // 2)
    exchange.hang()


def closing_mid_request(exchange: Exchange) -> None:
    """The server dies half-way through the request's body, having done nothing."""
    exchange.read_half_of_the_body()
    exchange.reset()


def losing_the_answer(exchange: Exchange) -> None:
    """The server does what was asked, and nobody learns of it."""
    exchange.forward()
    exchange.reset()


def changing_the_answer(change: Callable[[Answer], Answer]) -> Does:
    """The server's answer arrives as something else."""
    return lambda exchange: exchange.send(change(exchange.forward()))


@dataclass
class Fault:
    """What happens to which requests.

    Attributes:
        does: what happens to them.
        method: of the requests, as a pattern.
        path: likewise, of path and query; found anywhere in it.
        body: what the request's body has in it.
        times: how often it happens, None for good.
        spoiled: the requests that it happened to.
    """

    does: Does
    method: str = ".*"
    path: str = ""
    body: bytes = b""
    times: int | None = 1
    spoiled: list[str] = field(default_factory=list)

    def meets(self, exchange: Exchange) -> bool:
        return (
            (self.times is None or len(self.spoiled) < self.times)
            and re.fullmatch(self.method, exchange.method) is not None
            and re.search(self.path, exchange.path) is not None
            and (not self.body or self.body in exchange.body)
        )


class HttpFaultProxy:
    """A running proxy.

    Attributes:
        url: where it listens.
        upstream: the server behind.
        asked: method and path of every request.
        stopping: set when the proxy stops.
    """

    def __init__(self, url: str, upstream: str) -> None:
        self.url = url
        self.upstream = upstream
        self.asked: list[str] = []
        self.stopping = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    @contextmanager
    def broken(self, *faults: Fault) -> Iterator[None]:
        """Breaks, for as long as the block lasts, what the faults say."""
        self._faults = list(faults)
        try:
            yield
        finally:
            self._faults = []

    def serve(self, exchange: Exchange) -> None:
        what = f"{exchange.method} {exchange.path}"
        with self._lock:
            self.asked.append(what)
            fault = next((f for f in self._faults if f.meets(exchange)), None)
            if fault is not None:
                fault.spoiled.append(what)
        if fault is not None:
            fault.does(exchange)
        else:
            exchange.send(exchange.forward())


@contextmanager
def http_fault_proxy(upstream: str) -> Iterator[HttpFaultProxy]:
    """A proxy in front of a server, on a port of its own."""
    server = _Listener(("127.0.0.1", 0), BaseHTTPRequestHandler)
    proxy = HttpFaultProxy(f"http://127.0.0.1:{server.server_port}", upstream.rstrip("/"))
    server.RequestHandlerClass = _handler(proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        server.end_connections()
        server.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = False  # Joined at the end: none outlives its test.

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def end_connections(self) -> None:
        """Those too that a client keeps for later."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up waiting is part of the test."""


def _handler(proxy: HttpFaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _UPSTREAM_SECONDS
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            proxy.serve(Exchange(self, proxy))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler
