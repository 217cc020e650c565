"""The ways to people, to real receivers."""

import logging
from dataclasses import replace

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
from taxi_platform_tests.sources.dripping import dripping_server
from taxi_platform_tests.sources.publisher import running_publisher

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


@pytest.mark.parametrize("password", ["größer", "пароль", "a\nline", "[green]"])
def test_a_password_of_any_characters_logs_in(password: str) -> None:
    with running_mailbox("täxi", password) as mailbox:
        replace(email(mailbox.port, password), user="täxi").deliver(MESSAGE)
        assert mailbox.subjects == ["subject"]
        with pytest.raises(DeliveryError, match="SMTPAuthenticationError 535"):
            email(mailbox.port, f"{password}-ü").deliver(MESSAGE)


@pytest.mark.slow
@pytest.mark.parametrize("start", [b"", b"220 ready\r\n250-"], ids=["greeting", "answer"])
def test_a_mail_server_that_never_ends_a_line_is_given_up(start: bytes) -> None:
    with dripping_server(start, b"x") as port:
        patient = replace(email(port, SECRET), total_seconds=0.5)
        with pytest.raises(DeliveryError, match=r"took longer than 0\.5 s.*kept and sent later"):
            patient.deliver(MESSAGE)


@pytest.mark.slow
def test_a_webhook_that_never_ends_its_headers_is_given_up() -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n") as port:
        webhook = Webhook(f"http://127.0.0.1:{port}/{SECRET}", total_seconds=0.5)
        with pytest.raises(DeliveryError, match=r"took longer than 0\.5 s.*sent later") as caught:
            webhook.deliver(MESSAGE)
    assert SECRET not in str(caught.value)


def test_a_redirect_is_not_taken_for_acceptance() -> None:
    with running_publisher() as publisher:
        publisher.publish("elsewhere")
        answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + publisher.url.encode()
        with (
            dripping_server(answer + b"/elsewhere\r\n\r\n", b"") as port,
            pytest.raises(DeliveryError, match="answered 302"),
        ):
            Webhook(f"http://127.0.0.1:{port}/").deliver(MESSAGE)
        assert publisher.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with running_mailbox("taxi", SECRET) as mailbox:
        for channel in (
            replace(email(mailbox.port, SECRET), security="tls"),
            replace(email(mailbox.port, SECRET), security="starttls"),
        ):
            with pytest.raises(DeliveryError, match=r"SSLError|SMTPNotSupportedError"):
                channel.deliver(MESSAGE)


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
