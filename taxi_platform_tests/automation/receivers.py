"""Receivers of alerts on loopback: a webhook and a mail server, which can refuse a message."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from taxi_platform_tests.conftest import free_port


@dataclass
class Webhook:
    """A webhook like Slack's.

    Attributes:
        url: its address, which is a secret.
        refusals: how often it refuses what comes next.
        refused: how often it has refused.
        payloads: what it took, in order.
    """

    url: str
    refusals: int = 0
    refused: int = 0
    payloads: list[dict[str, Any]] = field(default_factory=list)

    def text(self) -> str:
        """The text of all alerts that it received."""
        return "\n".join(
            block["text"]["text"] for payload in self.payloads for block in payload["blocks"]
        )


@contextmanager
def running_webhook(secret: str) -> Iterator[Webhook]:
    """A webhook whose address holds a secret."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    path = f"/services/{secret}"
    webhook = Webhook(f"http://127.0.0.1:{server.server_port}{path}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"webhook": webhook, "where": path})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    webhook: Webhook
    where: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200 if self.path == self.where else 404
        if status == 200 and self.webhook.refusals:
            self.webhook.refusals -= 1
            self.webhook.refused += 1
            status = 500
        elif status == 200:
            self.webhook.payloads.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass
class Mailbox:
    """A mail server of one mailbox: its port, and the subjects and texts that arrived."""

    port: int
    subjects: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def text(self) -> str:
        """All that arrived."""
        return "\n".join(self.texts)

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self,
        server: object,  # noqa: ARG002
        session: Session,
        envelope: Envelope,
    ) -> str:
        if not session.authenticated:
            return "530 who are you?"
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.subjects.append(str(mail["Subject"]))
        body = mail.get_body()
        self.texts.append(body.get_content().replace("\r\n", "\n") if body else "")
        return "250 OK"


@contextmanager
def running_mailbox(user: str, password: str) -> Iterator[Mailbox]:
    """A mail server that takes mail of one user only."""
    mailbox = Mailbox(free_port())

    def is_user(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        expected = LoginPassword(user.encode(), password.encode())
        return AuthResult(success=given == expected, handled=False)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        authenticator=is_user,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
