"""The real servers that the tests run against, and Google's clients of them."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import google.auth.credentials
import google.auth.transport.requests
import httpx
from google.cloud import bigquery
from google.cloud.storage import Client

from tests.discovery_check import DiscoveryCheck

PROJECT = "test-project"
_START_SECONDS = 60


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process of the tests, stopped by its own id."""

    def __init__(self, port: int, command: list[str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, probe: str = "/") -> None:
        """Starts the process and waits until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if httpx.get(self.url + probe, timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            exited = self._process.poll() is not None
            if exited or time.monotonic() > deadline:
                raise RuntimeError(f"no answer from {self._command}: {self._log.read_text()}")
            time.sleep(0.02)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Ends the process and says how it ended."""
        assert self._process is not None
        self._process.send_signal(signal_number)
        return self._process.wait(timeout=20)

    @property
    def process_id(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid


def gcs_server(folder: Path) -> Server:
    """The GCS server, with its objects below a folder."""
    port = free_port()
    flags = ["--port", str(port), "--data-dir", str(folder / "objects")]
    return Server(port, [sys.executable, "-m", "gcs_emulator", *flags], folder / "gcs.log")


def bigquery_server(folder: Path, gcs_url: str) -> Server:
    """The emulator, with its data below a folder."""
    port = free_port()
    flags = ["--port", str(port), "--gcs-url", gcs_url]
    flags += ["--data-dir", str(folder / "bigquery")]
    command = [sys.executable, "-m", "bigquery_emulator", *flags]
    return Server(port, command, folder / "bigquery.log")


def bigquery_client(url: str, check: DiscoveryCheck) -> bigquery.Client:
    """Google's own client, with every answer checked."""
    credentials = google.auth.credentials.AnonymousCredentials()
    session = google.auth.transport.requests.AuthorizedSession(credentials)
    session.hooks["response"].append(check.requests_hook)
    return bigquery.Client(
        project=PROJECT,
        credentials=credentials,
        client_options={"api_endpoint": url},
        _http=session,
    )


def storage_client(url: str) -> Client:
    """Google's client of the object store."""
    return Client(
        project=PROJECT,
        credentials=google.auth.credentials.AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )
