import dataclasses
import json
from email.message import EmailMessage

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.alerts.messages import MOST_ALERTS, MOST_CHARACTERS, message_of

ALERT = Alert(
    kind="failed",
    subject="green|2024-01",
    headline="green|2024-01: raw_trips failed",
    detail="answered <500> & more, by taxi:hunter2@db",
    remedy="Once the cause is fixed: do this",
    path="/runs/abc",
)


def test_a_message_says_what_where_and_what_to_do_with_a_link() -> None:
    message = message_of([ALERT], "http://ui.example/", [])
    assert message.subject == "[taxi_platform] green|2024-01: raw_trips failed"
    for part in (ALERT.headline, ALERT.detail, ALERT.remedy, "http://ui.example/runs/abc"):
        assert part in message.text
    (block,) = message.payload["blocks"]
    assert "<http://ui.example/runs/abc|open in Dagster>" in block["text"]["text"]
    assert "&lt;500&gt; &amp; more" in block["text"]["text"]


def test_without_the_address_of_the_ui_there_is_no_link() -> None:
    message = message_of([ALERT], None, [])
    assert "http" not in message.text + json.dumps(message.payload)


def test_secrets_that_an_error_says_are_not_said_again() -> None:
    message = message_of([ALERT], None, ["hunter2", ""])
    assert "hunter2" not in message.text + json.dumps(message.payload) + message.subject
    assert "taxi:***@db" in message.text


def test_many_alerts_are_one_message_that_slack_takes() -> None:
    alerts = [dataclasses.replace(ALERT, detail="x" * 9_000) for _ in range(500)]
    message = message_of(alerts, "http://ui.example", [])
    assert message.subject == "[taxi_platform] 500 alerts: 500 failed"
    assert len(message.payload["blocks"]) == MOST_ALERTS + 1 <= 50
    assert all(len(block["text"]["text"]) <= 3_000 for block in message.payload["blocks"])
    assert "490 more: 490 failed" in message.text


def test_a_secret_is_redacted_before_a_message_is_shortened() -> None:
    """Half a secret at the cut would not be recognized."""
    secret = "hunter2-" + "x" * 40
    for length in range(MOST_CHARACTERS - 45, MOST_CHARACTERS + 1):
        alert = dataclasses.replace(ALERT, detail="y" * length + secret, headline=f"in {secret}")
        message = message_of([alert], None, [secret])
        assert "hunter2" not in message.text + json.dumps(message.payload) + message.subject


def test_text_from_elsewhere_cannot_stop_an_alert_or_change_its_form() -> None:
    bad = "two\nlines\r\nBcc: x@example.org \x1b[2J and \udcff"
    alert = dataclasses.replace(ALERT, subject=bad, headline=bad, detail=bad, remedy=bad)
    message = message_of([alert], None, [])
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail.set_content(message.text)
    assert mail["Bcc"] is None
    json.dumps(message.payload, ensure_ascii=False).encode()
    assert "\\udcff" in message.text
    assert "\x1b" not in message.text
    assert "\n" not in message.subject
