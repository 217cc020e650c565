"""``rediss://``: only a server whose certificate is valid is told the password."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError

from taxi_platform.broker import broker_at
from taxi_platform.workers.launcher import WorkerRunLauncher
from taxi_platform_tests.hosts.redis_server import PASSWORD, running_redis
from taxi_platform_tests.hosts.tls_relay import Relay, tls_relay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with running_redis(tmp_path) as redis, tls_relay(tmp_path, redis.port) as running:
        yield running


def send(relay: Relay, parameters: str = "", host: str = "127.0.0.1") -> None:
    """Sends a run through the relay."""
    address = f"rediss://:{PASSWORD}@{host}:{relay.port}/0{parameters}"
    celery = WorkerRunLauncher(broker_at(address)).celery
    celery.send_task("of.a.test", queue="nobody", retry=False)


def test_a_server_whose_certificate_nobody_knows_is_not_told_the_password(relay: Relay) -> None:
    with pytest.raises(OperationalError, match="certificate verify failed"):
        send(relay)
    assert not relay.heard


def test_an_authority_may_be_named_in_the_address(relay: Relay) -> None:
    send(relay, f"?ssl_ca_certs={relay.authority}")
    assert PASSWORD.encode() in relay.heard


def test_a_certificate_is_valid_for_its_own_host_only(relay: Relay) -> None:
    with pytest.raises(OperationalError, match=r"(?i)hostname mismatch"):
        send(relay, f"?ssl_ca_certs={relay.authority}", host="localhost")
    assert not relay.heard


def test_an_authority_of_the_host_is_known(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(relay.authority))
    send(relay)
    assert PASSWORD.encode() in relay.heard


def test_certificates_are_not_verified_if_the_address_says_so(relay: Relay) -> None:
    send(relay, "?ssl_cert_reqs=none")
    assert PASSWORD.encode() in relay.heard
