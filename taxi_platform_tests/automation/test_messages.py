import dataclasses
import json

from taxi_platform.automation.alerts.incidents import Alert
from taxi_platform.automation.alerts.messages import MOST_ALERTS, message_of

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
