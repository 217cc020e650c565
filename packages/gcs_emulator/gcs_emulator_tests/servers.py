"""The emulator as a process, and Google's client of it."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

_START_SECONDS = 60


class Emulator:
    """A process over one folder, stopped by its own id."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.data = folder / "gcs"
        self.log = folder / "gcs.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        flags = ["--port", str(self.port), "--data-dir", str(self.data)]
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "gcs_emulator", *flags]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if httpx.get(f"{self.url}/", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            exited = self._process.poll() is not None
            if exited or time.monotonic() > deadline:
                raise RuntimeError(f"no answer from the emulator: {self.log.read_text()}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=20)

    def client(self) -> storage.Client:
        """Google's client."""
        return storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.url},
        )
