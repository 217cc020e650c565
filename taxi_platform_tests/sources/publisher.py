"""A publisher of trip files on loopback, which can be set to misbehave."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Publication:
    """What is served at a path.

    Attributes:
        body: the bytes of the file.
        status: the status that is answered.
        etag: its version.
        cut_after: bytes after which the connection is closed, once.
        honours_range: whether parts may be asked for.
        location: where it redirects to, instead of all that.
        headers: more of them.
        failures: how often it answers 503 to a download first.
    """

    body: bytes = b""
    status: int = 200
    etag: str | None = '"v1"'
    cut_after: int | None = None
    honours_range: bool = True
    location: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = 0


@dataclass
class Publisher:
    """A server of publications, and what it was asked.

    Attributes:
        url: where it is.
        files: what it publishes, by path.
        asked: the headers of each request for a file.
        paths: the paths of these requests, with their queries.
        looks: how often it was asked for a file's headers alone.
        down: whether it answers 503 to everything.
        head_status: what it answers then, whatever is published.
    """

    url: str
    files: dict[str, Publication] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    looks: int = 0
    down: bool = False
    head_status: int | None = None

    @property
    def template(self) -> str:
        return f"{self.url}/{{color}}_tripdata_{{month}}.parquet"

    def publish(self, name: str, body: bytes = b"", **how: object) -> Publication:
        publication = Publication(body, **how)  # type: ignore[arg-type]
        self.files[f"/{name}"] = publication
        return publication


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or is killed, is what some tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def running_publisher() -> Iterator[Publisher]:
    server = _Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
    publisher = Publisher(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"publisher": publisher})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    publisher: Publisher
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.publisher.looks += 1
        file = self.publisher.files.get(self.path, Publication(b"nothing here", 404))
        self._answer(replace(file, status=self.publisher.head_status or file.status))

    def do_GET(self) -> None:
        self.publisher.asked.append(dict(self.headers.items()))
        self.publisher.paths.append(self.path)
        file = self.publisher.files.get(self.path, Publication(b"nothing here", 404))
        if file.failures:
            file.failures -= 1
            file = Publication(b"try again", 503)
        self._answer(file)

    def _answer(self, file: Publication) -> None:
        if self.publisher.down:
            file = Publication(b"down", 503, etag=None)
        if file.location is not None:
            self._say(302, "Location", file.location)
            return
        start = self._range_start(file)
        if self.headers.get("Range") == "bytes=0-0" and file.honours_range and file.status == 200:
            file = replace(file, body=file.body[:1], status=206)
        if start and start >= len(file.body):
            self._say(416, "Content-Range", f"bytes */{len(file.body)}")
            return
        self.send_response(206 if start else file.status)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"
            )
        self.send_header("Content-Length", str(len(file.body) - start))
        if file.etag:
            self.send_header("ETag", file.etag)
        for name, value in file.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(file, start)

    def _say(self, status: int, header: str, value: str) -> None:
        self.send_response(status)
        self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _range_start(self, file: Publication) -> int:
        asked = self.headers.get("Range")
        if (
            not asked
            or asked == "bytes=0-0"
            or not file.honours_range
            or self.headers.get("If-Range") != file.etag
        ):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, file: Publication, start: int) -> None:
        if file.cut_after is None:
            self.wfile.write(file.body[start:])
            return
        self.wfile.write(file.body[start : file.cut_after])
        file.cut_after = None
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
