"""The local BigQuery server: the emulator of `packages/bigquery_emulator`, as a process of its own.

The platform never imports it and talks to it over HTTP, as it does to BigQuery.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from taxi_platform.local.processes import LOOPBACK
from taxi_platform.local.server import Launch, Report, Server

_MODULE = "bigquery_emulator"


class EmbeddedBigQuery(Server):
    """The emulator over one folder, reading `gs://` objects from the local GCS server."""

    name = "bigquery"
    title = "BigQuery emulator"

    def __init__(self, data_directory: Path, gcs_url: Callable[[], str]) -> None:
        self._data_directory = data_directory
        self._gcs_url = gcs_url

    @property
    def data_directory(self) -> Path:
        """The folder of the datasets."""
        return self._data_directory

    def prepare(self, report: Report) -> Launch:  # noqa: ARG002
        """Makes the folder, and an environment without proxies and other emulators."""
        self._data_directory.mkdir(mode=0o700, exist_ok=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and not name.endswith("_EMULATOR_HOST")
        }
        environment["PYTHONUNBUFFERED"] = "1"
        return Launch(program=sys.executable, environment=environment)

    def arguments(self, port: int) -> tuple[str, ...]:
        """The emulator's own command line."""
        return (
            *("-P", "-m", _MODULE, "--host", LOOPBACK, "--port", str(port)),
            *("--data-dir", str(self._data_directory), "--gcs-url", self._gcs_url()),
        )

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The module and the data folder."""
        return (_MODULE, "--data-dir", str(self._data_directory))

    def answers(self, port: int) -> bool:
        """Whether its front page says that it is ready."""
        try:
            with httpx.Client(trust_env=False, timeout=5) as client:
                return client.get(f"{self.address(port)}/").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
