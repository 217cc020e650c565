"""GCS on bad days in the middle of a large upload, which takes several requests."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from taxi_platform.errors import TransientStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.stores.gcs.transfers import CHUNK_BYTES
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.http_fault_proxy import (
    Does,
    Exchange,
    Fault,
    HttpFaultProxy,
    answering,
    closing_mid_request,
    hanging,
    http_fault_proxy,
    losing_the_answer,
)
from taxi_platform_tests.months import cleaned_month

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = TripMonth.from_key("green|2023-03")
BUCKET = "large-uploads"


@pytest.fixture(scope="module")
def proxy(stack: EmbeddedStack) -> Iterator[HttpFaultProxy]:
    with http_fault_proxy(stack.environment["STORAGE_EMULATOR_HOST"]) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Iterator[storage.Client]:
    """Past the proxy."""
    with storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": stack.environment["STORAGE_EMULATOR_HOST"]},
    ) as connected:
        connected.create_bucket(BUCKET)
        yield connected


@pytest.fixture
def gcs(
    proxy: HttpFaultProxy, client: storage.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GCSTrips]:
    """Through the proxy, as the platform reaches it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    with storage.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield GCSTrips(connected, BUCKET, request_seconds=5)


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> TripParquet:
    return cleaned_month(LandingZone(tmp_path_factory.mktemp("large")), MONTH, 100)


def large(trips: TripParquet, folder: Path, seed: int) -> TripParquet:
    """The same month as a file that takes two chunks: of an upload, only the bytes count."""
    path = folder / f"{seed}.parquet"
    path.write_bytes(random.Random(seed).randbytes(CHUNK_BYTES + 1_000_000))  # noqa: S311
    return replace(trips, path=path, size=path.stat().st_size)


def spoiling_a_byte(exchange: Exchange) -> None:
    """A chunk changes on its way."""
    exchange.send(exchange.forward(b"\0" * 100 + exchange.body[100:]))


FAULTS: dict[str, tuple[Does, str, int]] = {
    "503 for the session": (answering(503), "POST", 0),
    "503 for the first chunk": (answering(503), "PUT", 0),
    "429 for the last chunk": (answering(429), "PUT", 1),
    "no answer to a chunk": (hanging, "PUT", 0),
    "closing in the middle of a chunk": (closing_mid_request, "PUT", 1),
    "a chunk whose answer is lost": (losing_the_answer, "PUT", 0),
    "a chunk that changes on its way": (spoiling_a_byte, "PUT", 1),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_large_upload_that_breaks_off_leaves_the_old_object_and_the_next_attempt_is_whole(
    gcs: GCSTrips,
    client: storage.Client,
    proxy: HttpFaultProxy,
    cleaned: TripParquet,
    tmp_path: Path,
    kind: str,
) -> None:
    does, method, passed_on = FAULTS[kind]
    old, _ = gcs.upload(cleaned)
    trips = large(cleaned, tmp_path, seed=1)
    passing = Fault(lambda exchange: exchange.send(exchange.forward()), method, times=passed_on)
    fault = Fault(does, method)
    with (
        proxy.broken(passing, fault),
        pytest.raises(TransientStoreError, match=rf"green\|2023-03: .*gs://{BUCKET}/data/green"),
    ):
        gcs.upload(trips)
    assert len(fault.spoiled) == 1
    blob = client.bucket(BUCKET).get_blob(old.name)
    assert blob is not None
    assert (int(blob.generation), blob.crc32c) == (old.generation, old.crc32c)
    stored, uploaded = gcs.upload(trips)
    assert uploaded
    assert stored.crc32c == trips.crc32c
    assert client.bucket(BUCKET).blob(old.name).download_as_bytes() == trips.path.read_bytes()


def test_an_upload_that_takes_too_long_in_all_is_given_up_and_replaces_nothing(
    gcs: GCSTrips,
    client: storage.Client,
    proxy: HttpFaultProxy,
    cleaned: TripParquet,
    tmp_path: Path,
) -> None:
    old, _ = gcs.upload(cleaned)
    trips = large(cleaned, tmp_path, seed=3)

    def slowly(exchange: Exchange) -> None:
        _ = exchange.body
        time.sleep(2)
        exchange.send(exchange.forward())

    with (
        proxy.broken(Fault(slowly, "PUT", times=None)),
        storage.Client(project="test", credentials=AnonymousCredentials()) as connected,
        pytest.raises(TransientStoreError, match=rf"gs://{BUCKET}/data/green.*not ended for 1 s"),
    ):
        GCSTrips(connected, BUCKET, request_seconds=30, upload_seconds=1).upload(trips)
    blob = client.bucket(BUCKET).get_blob(old.name)
    assert blob is not None
    assert blob.generation == old.generation


def test_a_large_upload_that_arrived_unnoticed_is_not_sent_again(
    gcs: GCSTrips,
    client: storage.Client,
    proxy: HttpFaultProxy,
    cleaned: TripParquet,
    tmp_path: Path,
) -> None:
    gcs.upload(cleaned)
    trips = large(cleaned, tmp_path, seed=2)
    passing = Fault(lambda exchange: exchange.send(exchange.forward()), "PUT")
    with (
        proxy.broken(passing, Fault(losing_the_answer, "PUT")),
        pytest.raises(TransientStoreError),
    ):
        gcs.upload(trips)
    stored, uploaded = gcs.upload(trips)
    assert not uploaded
    assert stored.crc32c == trips.crc32c
