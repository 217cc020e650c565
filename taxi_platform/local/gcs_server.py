"""The local Google Cloud Storage server: the emulator of `packages/gcs_emulator`.

The platform never imports it and talks to it over HTTP, as it does to GCS.
"""

import sys
from pathlib import Path

import httpx

from taxi_platform.local.emulator import answers_with, emulator_environment
from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.server import Launch, Report, Server

_MODULE = "gcs_emulator"


class EmbeddedGCS(Server):
    """The emulator over one folder."""

    name = "gcs"
    title = "GCS server"

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory

    @property
    def data_directory(self) -> Path:
        """The folder of the buckets."""
        return self._data_directory

    def prepare(self, report: Report) -> Launch:  # noqa: ARG002
        """Makes the folder."""
        self._data_directory.mkdir(mode=0o700, exist_ok=True)
        return Launch(program=sys.executable, environment=emulator_environment())

    def arguments(self, port: int) -> tuple[str, ...]:
        """The emulator's own command line."""
        return ("-P", "-m", _MODULE, "--port", str(port), "--data-dir", str(self._data_directory))

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The module and the data folder."""
        return (_MODULE, "--data-dir", str(self._data_directory))

    def answers(self, port: int) -> bool:
        """Whether it lists buckets."""
        return answers_with(f"{self.address(port)}/storage/v1/b")

    def ensure_bucket(self, port: int, bucket: str, project: str) -> None:
        """Creates the bucket unless it exists.

        Raises:
            LocalStackError: The server refuses.
        """
        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                response = client.post(
                    f"{self.address(port)}/storage/v1/b",
                    params={"project": project},
                    json={"name": bucket},
                )
        except httpx.HTTPError as error:
            raise LocalStackError(f"The {self.title} does not create a bucket: {error}") from error
        if response.status_code not in (httpx.codes.OK, httpx.codes.CONFLICT):
            raise LocalStackError(
                f"The {self.title} refuses to create the bucket {bucket}: "
                f"{response.status_code} {response.text[:300]}"
            )
