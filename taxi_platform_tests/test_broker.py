"""The address of the broker: what is refused, in one line that repeats no secret."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from taxi_platform.broker import broker_at
from taxi_platform.errors import SettingsError
from taxi_platform.settings import load_settings

REFUSED = {
    "foo://:s3cret@redis/0": "foo:// is unknown",
    "s3cret": "no address",
    "s3cret:x://redis/0": "its scheme is unknown",
    "amqp://ann:s3cret@rabbit": "amqp:// is unknown",
    "redis://:s3cret@redis:many/0": "its port is no number",
    "redis://:s3cret@redis:70000/0": "its port is no number",
    "redis://:s3cret@redis:0/0": "its port is no number",
    "redis://:s3cret@/0": "it names no host",
    "redis://:s3cret@redis/first": "no number of a database",
    **{f"redis://:s3{sign}cret@redis:6379/0": f"{sign} as %{ord(sign):02X}" for sign in "/?#@%;[]"},
    "redis://:s3 cret@redis/0": "blanks",
    "redis://redis/0#s3cret": "# as %23",
    "redis://:s3cret@redis/0?ssl_cert_reqs=none": "rediss:// is the encrypted one",
    "rediss://:s3cret@redis/0?ssl_cert_reqs=s3cret": "none, optional, required",
    "rediss://:s3cret@redis/0?s3cret=1": "a parameter that is none of",
    "rediss://:s3cret@redis/0?ssl_ca_certs=/nowhere/s3cret": "ssl_ca_certs names no file",
    "rediss://:s3cret@[redis/0": "its host cannot be read",
}


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_cannot_be_used_is_refused_in_a_line_without_secrets(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_CELERY_BROKER", address)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    said = str(refused.value)
    assert "TAXI_CELERY_BROKER: " in said
    assert REFUSED[address] in said
    assert "s3" not in said
    assert "cret" not in said
    assert "\n" not in said


def test_an_encoded_password_is_redacted_however_it_is_spelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAXI_CELERY_BROKER", "redis://ann:p%2Fa%40ss@redis:6379/3")
    assert "p/a@ss" in load_settings().secrets()
    broker = broker_at("redis://ann:p%2Fa%40ss@redis:6379/3")
    assert broker.url == "redis://ann:p%2Fa%40ss@redis:6379/3"
    assert broker.shown == "redis://redis:6379/3"
    assert "p%2F" not in repr(broker)


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_address_is_none(empty: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAXI_CELERY_BROKER", raising=False)
    if empty is not None:
        monkeypatch.setenv("TAXI_CELERY_BROKER", empty)
    assert load_settings().celery_broker is None


def test_certificates_are_verified_unless_the_address_says_otherwise(tmp_path: Path) -> None:
    def parameters(address: str) -> dict[str, list[str]]:
        return parse_qs(urlsplit(broker_at(address).url).query)

    verified = {"ssl_cert_reqs": ["required"], "ssl_check_hostname": ["true"]}
    assert parameters("rediss://:pw@redis/0") == verified
    authority = tmp_path / "ca of a test.pem"
    authority.touch()
    named = f"rediss://redis?ssl_ca_certs={authority}".replace(" ", "%20")
    assert parameters(named) == verified | {"ssl_ca_certs": [str(authority)]}
    assert parameters("rediss://redis?ssl_cert_reqs=none") == {"ssl_cert_reqs": ["none"]}
    assert parameters("redis://redis") == {}
