"""The channels of alerts: a webhook and e-mail. They do not retry: the next tick does."""

import logging
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Literal, Protocol

from taxi_platform.automation.alerts.messages import Message
from taxi_platform.settings import Settings

SECONDS = 15.0


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

    def __repr__(self) -> str:
        return "Webhook(…)"

    def deliver(self, message: Message) -> None:
        """See ``Channel.deliver``."""
        import httpx

        # At INFO, httpx logs the URL of every request.
        for logger in ("httpx", "httpcore"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        try:
            response = httpx.post(self.url, json=message.payload, timeout=SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without the original error, whose request contains the URL.
            raise DeliveryError(
                f"the alert webhook cannot be reached ({type(error).__name__}); the alerts are "
                "kept and sent later. Is TAXI_ALERT_WEBHOOK_URL right?"
            ) from None
        if not response.is_success:
            raise DeliveryError(
                f"the alert webhook answered {response.status_code}; the alerts are kept and sent "
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

    def __repr__(self) -> str:
        return f"Email({self.host}:{self.port})"

    def deliver(self, message: Message) -> None:
        """See ``Channel.deliver``."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Subject"], mail["Date"] = message.subject, formatdate(localtime=True)
        mail.set_content(message.text)
        try:
            with self._connect() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            said = f"{error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
            raise DeliveryError(
                f"the SMTP server {self.host}:{self.port} did not accept the alerts "
                f"({type(error).__name__} {said}); they are kept and sent later. Are TAXI_SMTP_* "
                "and TAXI_ALERT_EMAIL_* right?"
            ) from None

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=SECONDS)


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
