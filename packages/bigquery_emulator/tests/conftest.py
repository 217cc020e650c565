"""Fixtures of the BigQuery emulator's tests: real servers, started once for the session."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.discovery_check import DiscoveryCheck
from tests.servers import (
    PROJECT,
    Server,
    bigquery_client,
    bigquery_server,
    gcs_server,
    storage_client,
)
from tests.trips import SCHEMA


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how many of the queries with known answers are answered."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "share" and report.when == "call":
                terminalreporter.write_line(str(value))


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A GCS server."""
    server = gcs_server(tmp_path_factory.mktemp("gcs"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def emulator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's emulator keeps its data."""
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="session")
def emulator(emulator_folder: Path, object_server: Server) -> Iterator[Server]:
    """An emulator that is never restarted."""
    server = bigquery_server(emulator_folder, object_server.url)
    server.start()
    yield server
    assert server.stop() == 0, "SIGTERM must end the emulator cleanly"


@pytest.fixture(scope="session")
def answers() -> DiscoveryCheck:
    """Checks every answer of the session's emulators."""
    return DiscoveryCheck()


@pytest.fixture(scope="session")
def client(emulator: Server, answers: DiscoveryCheck) -> Iterator[bigquery.Client]:
    """Google's client of the session's emulator."""
    made = bigquery_client(emulator.url, answers)
    yield made
    made.close()


@pytest.fixture
def http(emulator: Server, answers: DiscoveryCheck) -> Iterator[httpx.Client]:
    """Raw requests below the session's project."""
    base = f"{emulator.url}/bigquery/v2/projects/{PROJECT}"
    with httpx.Client(
        base_url=base, timeout=60, event_hooks={"response": [answers.httpx_hook]}
    ) as made:
        yield made


@pytest.fixture(scope="session")
def bucket(object_server: Server) -> Iterator[Bucket]:
    """A bucket for files to be loaded."""
    made = storage_client(object_server.url)
    yield made.create_bucket("lake")
    made.close()


@pytest.fixture
def dataset(client: bigquery.Client) -> Iterator[str]:
    """The id of a new dataset, deleted afterwards."""
    name = f"d_{uuid.uuid4().hex[:12]}"
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)


@pytest.fixture
def trips(client: bigquery.Client, dataset: str) -> str:
    """A new table of trips, partitioned by month."""
    table = bigquery.Table(f"{PROJECT}.{dataset}.trips", schema=SCHEMA)
    table.time_partitioning = bigquery.TimePartitioning("MONTH", "m")
    table.clustering_fields = ["vendor_id"]
    client.create_table(table)
    return f"{dataset}.trips"
