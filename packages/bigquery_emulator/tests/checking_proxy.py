"""A proxy before the emulator that checks every answer against Google's description.

For clients that build their own HTTP sessions, into which no check can be hooked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from tests.discovery_check import DiscoveryCheck

_NOT_FORWARDED = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def checking_proxy(url: str, check: DiscoveryCheck) -> Iterator[tuple[str, list[str]]]:
    """Serves on the loopback, and gives its address and the complaints so far."""
    complaints: list[str] = []
    behind = url.removeprefix("http://")
    with httpx.Client(base_url=url, timeout=120) as upstream:

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                own = self.headers["host"]
                # The emulator answers to its own name only.
                sent = dict(self.headers.items()) | {"Host": behind}
                answer = upstream.request(self.command, self.path, headers=sent, content=body)
                if self.path != "/token":
                    address = f"http://{own}{self.path}"
                    try:
                        check.check(self.command, address, answer.status_code, answer.content)
                    except AssertionError as error:
                        complaints.append(str(error))
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in _NOT_FORWARDED:
                        self.send_header(name, value.replace(behind, own))
                # The links in answers lead through the proxy too.
                content = answer.content.replace(behind.encode(), own.encode())
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", complaints
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
