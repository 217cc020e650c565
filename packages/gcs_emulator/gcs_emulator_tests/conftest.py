"""Fixtures of the GCS emulator's tests: a real server, started once for the session."""

import uuid
from collections.abc import Iterator

import httpx
import pytest
from google.cloud import storage

from gcs_emulator_tests.servers import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that is never restarted."""
    running = Emulator(tmp_path_factory.mktemp("gcs"))
    running.start()
    yield running
    assert running.stop() == 0, "SIGTERM must end the emulator cleanly"


@pytest.fixture(scope="session")
def client(emulator: Emulator) -> Iterator[storage.Client]:
    with emulator.client() as connected:
        yield connected


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    """A new bucket."""
    return client.create_bucket(f"b-{uuid.uuid4().hex}")


@pytest.fixture
def http(emulator: Emulator) -> Iterator[httpx.Client]:
    """Raw requests."""
    with httpx.Client(base_url=emulator.url, timeout=60) as connected:
        yield connected
