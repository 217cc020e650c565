"""The ways to people, to real receivers."""

import logging

import pytest
from dagster import DefaultSensorStatus

from taxi_platform.automation.alerts.channels import (
    Channel,
    DeliveryError,
    Email,
    Webhook,
    channels_of,
)
from taxi_platform.automation.alerts.messages import Message
from taxi_platform.automation.alerts.sensors import alert_sensors
from taxi_platform.settings import load_settings
from taxi_platform_tests.automation.receivers import running_mailbox, running_webhook
from taxi_platform_tests.conftest import free_port

MESSAGE = Message("subject", "text\n", {"text": "subject", "blocks": []})
SECRET = "s3cret-of-a-channel"


def email(port: int, password: str) -> Email:
    return Email(
        ("a@example.com", "b@example.com"), "us@x.org", "127.0.0.1", port, "none", "taxi", password
    )


def test_alerts_are_off_until_a_channel_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels_of(load_settings()) == []
    # As a compose file sets what is left empty.
    monkeypatch.setenv("TAXI_ALERT_WEBHOOK_URL", "")
    monkeypatch.setenv("TAXI_ALERT_EMAIL_TO", "")
    assert alert_sensors(load_settings()) == []
    monkeypatch.setenv("TAXI_ALERT_WEBHOOK_URL", f"https://hooks.example.com/{SECRET}")
    monkeypatch.setenv("TAXI_ALERT_EMAIL_TO", "a@example.com, b@example.com")
    monkeypatch.setenv("TAXI_SMTP_PASSWORD", SECRET)
    sensors = alert_sensors(load_settings())
    assert [sensor.name for sensor in sensors] == ["alerts_by_webhook", "alerts_by_email"]
    assert all(sensor.default_status is DefaultSensorStatus.RUNNING for sensor in sensors)
    assert SECRET not in repr(channels_of(load_settings())) + repr(load_settings())


def test_a_webhook_takes_the_payload_and_its_address_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_webhook(SECRET) as webhook, caplog.at_level(logging.DEBUG):
        Webhook(webhook.url).deliver(MESSAGE)
    assert webhook.payloads == [MESSAGE.payload]
    assert SECRET not in caplog.text


def test_a_mail_server_takes_the_text_for_all_recipients() -> None:
    with running_mailbox("taxi", SECRET) as mailbox:
        email(mailbox.port, SECRET).deliver(MESSAGE)
    assert (mailbox.subjects, mailbox.texts) == (["subject"], ["text\n"])


def test_a_refusal_says_why_and_no_secret() -> None:
    nobody = free_port()
    with running_webhook("another") as webhook, running_mailbox("taxi", "another") as mailbox:
        host = webhook.url.partition("/services")[0]
        refusals: list[tuple[Channel, str]] = [
            (Webhook(f"{host}/services/{SECRET}"), "answered 404"),
            (Webhook(f"http://127.0.0.1:{nobody}/{SECRET}"), "cannot be reached"),
            (Webhook(f"http://[{SECRET}"), "cannot be reached"),
            (email(mailbox.port, SECRET), "535"),
            (email(nobody, SECRET), "ConnectionRefusedError"),
        ]
        for channel, said in refusals:
            with pytest.raises(DeliveryError, match=said) as caught:
                channel.deliver(MESSAGE)
            assert SECRET not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not webhook.payloads
    assert not mailbox.texts
