"""The channels of alerts: a webhook and e-mail. They do not retry: the next tick does."""

import base64
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Literal, Protocol

from taxi_platform.automation.alerts.messages import Message
from taxi_platform.deadlines import DeadlineError, deadline
from taxi_platform.http_requests import http_client
from taxi_platform.settings import Settings

SECONDS = 15.0
"""How long a receiver may send nothing."""

TOTAL_SECONDS = 30.0
"""How long a delivery may take; Dagster allows the whole tick 60 seconds."""

READY, AUTHENTICATED, CONTINUE = 220, 235, 334
"""SMTP's answers to a connection and to a log-in."""


class DeliveryError(Exception):
    """A message was not accepted; says why, but not the address, which may be a secret."""


class Channel(Protocol):
    """A way to send alerts."""

    @property
    def name(self) -> str:
        """Its name: ``webhook``, ``email``."""
        ...

    def deliver(self, message: Message) -> None:
        """Sends a message.

        Raises:
            DeliveryError: it was not accepted.
        """
        ...


@dataclass(frozen=True)
class Webhook:
    """A URL that accepts Slack's JSON. The URL itself is the secret."""

    url: str
    name: str = "webhook"
    seconds: float = SECONDS
    total_seconds: float = TOTAL_SECONDS

    def __repr__(self) -> str:
        return "Webhook(…)"

    def deliver(self, message: Message) -> None:
        """See ``Channel.deliver``."""
        import httpx

        try:
            with (
                # A redirected POST would become a GET, and succeed without having said anything.
                http_client(self.seconds, self.total_seconds, follow_redirects=False) as client,
                client.stream("POST", self.url, json=message.payload) as response,
            ):
                accepted, status = response.is_success, response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, DeadlineError) as error:
            # Without the original error, whose request contains the URL.
            raise DeliveryError(
                f"the alert webhook cannot be reached ({_reason(error)}); the alerts are "
                "kept and sent later. Is TAXI_ALERT_WEBHOOK_URL right?"
            ) from None
        if not accepted:
            raise DeliveryError(
                f"the alert webhook answered {status}; the alerts are kept and sent "
                "later. Is TAXI_ALERT_WEBHOOK_URL right?"
            )


@dataclass(frozen=True)
class Email:
    """An SMTP server and the recipients."""

    recipients: tuple[str, ...]
    sender: str
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password: str
    name: str = "email"
    total_seconds: float = TOTAL_SECONDS

    def __repr__(self) -> str:
        return f"Email({self.host}:{self.port})"

    def deliver(self, message: Message) -> None:
        """See ``Channel.deliver``."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Subject"], mail["Date"] = message.subject, formatdate(localtime=True)
        mail.set_content(message.text)
        server = self._server()
        said = f"it took longer than {self.total_seconds:g} s"
        try:
            with deadline(self.total_seconds, said, lambda: _break_off(server)):
                self._send(server, mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(
                f"the SMTP server {self.host}:{self.port} did not accept the alerts "
                f"({_reason(error)}); they are kept and sent later. Are TAXI_SMTP_* and "
                "TAXI_ALERT_EMAIL_* right?"
            ) from None

    def _server(self) -> smtplib.SMTP:
        """The server, not connected yet, so that its connection can be broken off at any time."""
        if self.security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(timeout=SECONDS)
        # The name that the certificate must have; otherwise only the constructor sets it, which
        # then connects at once.
        server._host = self.host  # type: ignore[attr-defined]
        return server

    def _send(self, server: smtplib.SMTP, mail: EmailMessage) -> None:
        with server:
            code, said = server.connect(self.host, self.port)
            if code != READY:
                raise smtplib.SMTPConnectError(code, said)
            if self.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.user:
                _log_in(server, self.user, self.password)
            server.send_message(mail)


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Logs in; in UTF-8 (RFC 4616) if need be, for smtplib's own method accepts ASCII only."""
    if f"{user}{password}".isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    if "PLAIN" in server.esmtp_features.get("auth", "").upper().split():
        code, said = server.docmd("AUTH", f"PLAIN {_base64(chr(0) + user + chr(0) + password)}")
    else:
        code, said = server.docmd("AUTH", f"LOGIN {_base64(user)}")
        if code == CONTINUE:
            code, said = server.docmd(_base64(password))
    if code != AUTHENTICATED:
        raise smtplib.SMTPAuthenticationError(code, said)


def _reason(error: Exception) -> str:
    """Why a server did not accept a mail, without what it said, which may repeat the password."""
    if isinstance(error, DeadlineError):
        return str(error)
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return f"{type(error).__name__}{code}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _break_off(server: smtplib.SMTP) -> None:
    with suppress(OSError):
        if isinstance(server.sock, socket.socket):
            server.sock.shutdown(socket.SHUT_RDWR)


def channels_of(chosen: Settings) -> list[Channel]:
    """The channels that are configured; none by default."""
    found: list[Channel] = []
    if chosen.alert_webhook_url is not None:
        found.append(Webhook(chosen.alert_webhook_url.get_secret_value()))
    recipients = [part.strip() for part in (chosen.alert_email_to or "").split(",")]
    if any(recipients):
        found.append(
            Email(
                recipients=tuple(filter(None, recipients)),
                sender=chosen.alert_email_from,
                host=chosen.smtp_host,
                port=chosen.smtp_port,
                security=chosen.smtp_security,
                user=chosen.smtp_user,
                password=chosen.smtp_password.get_secret_value(),
            )
        )
    return found
