"""A publisher of trip files on loopback, that can be told to misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """

    body: bytes = b""
    status: int = 200
    etag: str | None = '"v1"'
    cut_after: int | None = None
    honours_range: bool = True
    location: str | None = None


@dataclass
class Publisher:
    """A server of publications, and what it was asked."""

    url: str
    files: dict[str, Publication] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def template(self) -> str:
        return f"{self.url}/{{color}}_tripdata_{{month}}.parquet"

    def publish(self, name: str, body: bytes = b"", **how: object) -> Publication:
        publication = Publication(body, **how)  # type: ignore[arg-type]
        self.files[f"/{name}"] = publication
        return publication


@contextmanager
def running_publisher() -> Iterator[Publisher]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
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
    protocol_version = "HTTP/1.1"
    publisher: Publisher

    def do_GET(self) -> None:
        self.publisher.asked.append(dict(self.headers.items()))
        file = self.publisher.files.get(self.path, Publication(b"nothing here", 404))
        if file.location is not None:
            self._say(302, "Location", file.location)
            return
        start = self._range_start(file)
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
        self.end_headers()
        self._send(file, start)

    def _say(self, status: int, header: str, value: str) -> None:
        self.send_response(status)
        self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _range_start(self, file: Publication) -> int:
        asked = self.headers.get("Range")
        if not asked or not file.honours_range or self.headers.get("If-Range") != file.etag:
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
