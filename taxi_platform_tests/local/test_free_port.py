"""What `make dev` says of its port."""

import socket

import pytest

from taxi_platform.local.free_port import why_not
from taxi_platform_tests.conftest import free_port


def test_a_free_port_is_taken_as_it_is() -> None:
    assert why_not(str(free_port())) is None


def test_a_port_that_somebody_listens_at_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = why_not(str(port)) or ""
    assert f"127.0.0.1:{port} is taken" in said
    assert "make dev PORT=" in said


@pytest.mark.parametrize("port", ["", "abc", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(port: str) -> None:
    assert f"PORT is {port!r}" in (why_not(port) or "")
