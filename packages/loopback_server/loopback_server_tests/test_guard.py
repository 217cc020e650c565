"""Who is answered, and who is not."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

pytestmark = pytest.mark.integration

NOBODY = 65534


@dataclass(frozen=True)
class Running:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def counted(self) -> int:
        return int(httpx.get(self.url).text)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        running = Running(int(probe.getsockname()[1]))
    command = [sys.executable, "-m", "loopback_server_tests.counting_server", str(running.port)]
    folder = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    process = subprocess.Popen(command, cwd=folder)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert running.counted == 0
            break
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    yield running
    process.terminate()
    assert process.wait(20) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_server_s_own_names_are_answered(server: Running, host: str) -> None:
    named = f"{host}:{server.port}"
    for more in (
        {},
        {"Origin": f"http://{named}"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
    ):
        assert httpx.get(server.url, headers={"Host": named, **more}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Host": "evil.example"}, "its Host is evil.example and not 127.0.0.1:"),
        ({"Host": "127.0.0.1"}, "its Host is 127.0.0.1 and not"),
        ({"Host": "127.0.0.1:1"}, "its Host is 127.0.0.1:1 and not"),
        ({"Origin": "https://evil.example"}, "from a web page of https://evil.example"),
        ({"Origin": "null"}, "from a web page of null"),
        ({"Sec-Fetch-Site": "cross-site"}, "from a web page of others"),
        ({"Sec-Fetch-Site": "same-site"}, "from a web page of others"),
        ({"Origin": "http://127.0.0.1:3000"}, "from a web page of http://127.0.0.1:3000"),
    ],
)
def test_what_a_browser_sends_for_a_page_of_others_is_refused(
    server: Running, headers: dict[str, str], reason: str
) -> None:
    before = server.counted
    answer = httpx.post(server.url, headers=headers, content=b"x" * 100_000)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == 403
    assert error["errors"][0]["reason"] == "forbidden"
    assert error["message"].startswith("The counting server refuses this request: ")
    assert reason in error["message"]
    assert server.counted == before


def test_two_hosts_in_one_request_are_refused(server: Running) -> None:
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nHost: evil.example\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall((head + "Content-Length: 0\r\n\r\n").encode())
        assert connection.recv(100).startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))
    assert server.counted == 0


# Sends a POST as another user; with an argument, it does not wait for the answer.
_POST = """
import socket, sys
port, family, waits = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "waits"
address = "127.0.0.1" if family == "4" else "::ffff:127.0.0.1"
with socket.socket(socket.AF_INET if family == "4" else socket.AF_INET6) as connection:
    connection.connect((address, port))
    head = f"POST / HTTP/1.1\\r\\nHost: localhost:{port}\\r\\nX-Forwarded-For: 127.0.0.1\\r\\n"
    head += "Connection: close\\r\\nContent-Length: 0\\r\\n\\r\\n"
    connection.sendall(head.encode())
    if waits:
        while part := connection.recv(10_000):
            print(part.decode(), end="")
"""


# The second for when the first lies in a folder of root's own.
PYTHONS = (sys.executable, "/usr/bin/python3")


def post_as(user: int | None, port: int, family: str = "4", waits: str = "waits") -> str:
    python = next((python for python in PYTHONS if runs_as(user, python)), None)
    if python is None:
        pytest.skip("another user cannot run Python")
    result = subprocess.run(
        [python, "-c", _POST, str(port), family, waits],
        user=user,
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout


def runs_as(user: int | None, python: str) -> bool:
    try:
        return subprocess.run([python, "-c", ""], user=user, cwd="/", check=False).returncode == 0
    except OSError:
        return False


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs as another")


@pytest.mark.parametrize("family", ["4", "6"])
def test_the_owner_is_answered(server: Running, family: str) -> None:
    before = server.counted
    assert post_as(None, server.port, family).startswith("HTTP/1.1 200")
    assert server.counted == before + 1


@needs_root
@pytest.mark.parametrize("family", ["4", "6"])
def test_another_user_of_the_machine_is_refused(server: Running, family: str) -> None:
    before = server.counted
    answer = post_as(NOBODY, server.port, family)
    assert answer.startswith("HTTP/1.1 403")
    assert f"of the user with the id {NOBODY}" in answer
    assert server.counted == before


@needs_root
def test_another_user_who_hangs_up_at_once_is_not_taken_for_root(server: Running) -> None:
    before = server.counted
    for _ in range(20):
        post_as(NOBODY, server.port, waits="hangs up")
    # Requests are answered in turn, so the ones before have been looked at.
    assert server.counted == before
