"""The text of alerts: one message for all alerts that are pending."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.printable import printable
from taxi_platform.redaction import redact

MOST_CHARACTERS = 600
"""Of a headline and of a detail; the UI shows all."""

MOST_ALERTS = 10
"""How many alerts a message shows in full; it counts the others, which the UI shows."""

_SIGNS = {"failed": "🔴", "check failed": "🔴", "overdue": "🟠", "recovered": "🟢"}


@dataclass(frozen=True)
class Message:
    """What is sent: a subject of one line, plain text, and a Slack-compatible payload."""

    subject: str
    text: str
    payload: dict[str, Any]


def message_of(alerts: Sequence[Alert], ui_url: str | None, secrets: Iterable[str]) -> Message:
    """Writes the message of some alerts.

    Args:
        alerts: at least one.
        ui_url: the address of Dagster's UI, for links; without it there are no links.
        secrets: values to redact, in case an error message contains them.
    """
    hidden = list(secrets)
    shown = [_presentable(alert, hidden) for alert in alerts[:MOST_ALERTS]]
    more = len(alerts) - len(shown)
    subject = shown[0].headline if len(alerts) == 1 else f"{len(alerts)} alerts: {_counts(alerts)}"
    rest = f"and {more} more: {_counts(alerts[MOST_ALERTS:])}" if more else ""
    parts = [_plain(alert, ui_url) for alert in shown]
    blocks = [_section(_marked(alert, ui_url)) for alert in shown]
    if rest:
        link = _link("/runs?view=ALL", ui_url)
        parts.append(f"{rest}{': ' + link if link else ''}")
        blocks.append(_section(_escape(rest) + (f"\n<{link}|all runs>" if link else "")))
    return Message(
        subject=f"[taxi_platform] {subject}",
        text="\n\n".join(parts) + "\n",
        payload={"text": _escape(subject), "blocks": blocks},
    )


def _presentable(alert: Alert, secrets: Sequence[str]) -> Alert:
    """The same alert without secrets, as text that every channel accepts, and then shortened."""
    return replace(
        alert,
        subject=_one_line(redact(alert.subject, secrets)),
        headline=_shortened(_one_line(redact(alert.headline, secrets)), MOST_CHARACTERS),
        detail=_shortened(_one_line(redact(alert.detail, secrets)), MOST_CHARACTERS),
        remedy=_one_line(redact(alert.remedy, secrets)),
    )


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _counts(alerts: Sequence[Alert]) -> str:
    kinds = [alert.kind for alert in alerts]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in _SIGNS if kind in kinds)


def _link(path: str, ui_url: str | None) -> str | None:
    return f"{ui_url.rstrip('/')}{path}" if ui_url else None


def _plain(alert: Alert, ui_url: str | None) -> str:
    lines = [f"{_SIGNS[alert.kind]} {alert.headline}", alert.detail, alert.remedy]
    return "\n".join(line for line in [*lines, _link(alert.path, ui_url)] if line)


def _marked(alert: Alert, ui_url: str | None) -> str:
    link = _link(alert.path, ui_url)
    headline = f"{_SIGNS[alert.kind]} *{_escape(alert.headline)}*"
    lines = [headline, _escape(alert.detail), _escape(alert.remedy)]
    return "\n".join(line for line in [*lines, f"<{link}|open in Dagster>" if link else ""] if line)


def _section(text: str) -> dict[str, Any]:
    # Slack takes at most 3,000 characters a section.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:2_900]}}


def _escape(text: str) -> str:
    """Escapes the characters that have a meaning in Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
