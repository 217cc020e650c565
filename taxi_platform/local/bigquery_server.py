"""The local BigQuery server: the emulator of `packages/bigquery_emulator`, as a process of its own.

The platform never imports it and talks to it over HTTP, as it does to BigQuery.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from taxi_platform.local.emulator import answers_with, emulator_environment
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
        """Makes the folder."""
        self._data_directory.mkdir(mode=0o700, exist_ok=True)
        return Launch(program=sys.executable, environment=emulator_environment())

    def arguments(self, port: int) -> tuple[str, ...]:
        """The emulator's own command line."""
        return (
            *("-P", "-m", _MODULE, "--port", str(port)),
            *("--data-dir", str(self._data_directory), "--gcs-url", self._gcs_url()),
        )

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The module and the data folder."""
        return (_MODULE, "--data-dir", str(self._data_directory))

    def answers(self, port: int) -> bool:
        """Whether its front page says that it is ready."""
        return answers_with(f"{self.address(port)}/")
