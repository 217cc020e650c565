import io
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.totals import MonthTotals
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("green|2023-03")


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stack.environment["STORAGE_EMULATOR_HOST"])
    with storage.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield connected


@pytest.fixture
def gcs(stack: EmbeddedStack, client: storage.Client) -> GCSTrips:
    return GCSTrips(client, stack.environment["TAXI_GCS_BUCKET"])


def test_an_object_is_exactly_the_file_and_says_what_it_holds(
    gcs: GCSTrips, client: storage.Client, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 2_000)
    stored, uploaded = gcs.upload(trips)
    assert uploaded
    assert stored.uri == "gs://taxi-lake/data/green/green_tripdata_2023-03.parquet"
    assert (stored.size, stored.crc32c) == (trips.size, trips.crc32c)
    assert stored.totals == trips.totals
    assert client.bucket(gcs.bucket).blob(stored.name).download_as_bytes() == (
        trips.path.read_bytes()
    )
    assert gcs.find(MONTH) == stored


def test_the_same_file_again_keeps_the_generation_and_another_makes_a_new_one(
    gcs: GCSTrips, landing: LandingZone
) -> None:
    first, _ = gcs.upload(cleaned_month(landing, MONTH, 1_000))
    again, uploaded = gcs.upload(cleaned_month(landing, MONTH, 1_000))
    assert (again, uploaded) == (first, False)
    other, uploaded = gcs.upload(cleaned_month(landing, MONTH, 1_500))
    assert uploaded
    assert other.generation != first.generation
    assert gcs.find(MONTH) == other


def test_a_large_file_takes_the_resumable_way_and_arrives_whole(
    gcs: GCSTrips, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 600_000)
    assert trips.size > 8 << 20, "small enough for a single request"
    stored, _ = gcs.upload(trips)
    assert (stored.size, stored.crc32c) == (trips.size, trips.crc32c)


def test_an_object_of_others_is_counted_by_its_footer_however_long_that_is(
    gcs: GCSTrips, client: storage.Client
) -> None:
    foreign = io.BytesIO()
    many = pa.table({f"a_long_name_of_a_column_{n}": [1, 2] for n in range(3_000)})
    pq.write_table(many, foreign)
    blob = client.bucket(gcs.bucket).blob(gcs.object_name(MONTH))
    blob.upload_from_file(foreign, rewind=True)
    assert gcs.find(MONTH).totals == MonthTotals(2, {})
    blob.upload_from_string(b"PAR1 and no more than that")
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: gs://.* is not a Parquet file"):
        gcs.find(MONTH)
    blob.delete()


FOREIGN = {"a Parquet file": pa.table({"mine": [1, 2]}), "another file": None}


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_object_of_somebody_else_is_not_replaced(
    gcs: GCSTrips, client: storage.Client, landing: LandingZone, kind: str
) -> None:
    month = TripMonth.from_key("green|2023-05")
    content = io.BytesIO(b"no Parquet")
    if (table := FOREIGN[kind]) is not None:
        pq.write_table(table, content)
    blob = client.bucket(gcs.bucket).blob(gcs.object_name(month))
    blob.upload_from_file(content, rewind=True)
    with pytest.raises(
        PermanentStoreError,
        match=r"green\|2023-05: gs://taxi-lake/data/green/\S+ was not written by the platform.*"
        r"move it \(gcloud storage mv.*TAXI_GCS_BUCKET to another bucket",
    ):
        gcs.upload(cleaned_month(landing, month, 100))
    assert client.bucket(gcs.bucket).get_blob(blob.name).generation == blob.generation
    blob.delete()
    assert gcs.upload(cleaned_month(landing, month, 100))[1]


def test_an_object_of_an_earlier_version_is_the_platform_s_by_its_footer(
    gcs: GCSTrips, client: storage.Client, landing: LandingZone
) -> None:
    month = TripMonth.from_key("green|2023-06")
    earlier = cleaned_month(landing, month, 100)
    name = gcs.object_name(month)
    client.bucket(gcs.bucket).blob(name).upload_from_filename(str(earlier.path))
    assert gcs.upload(cleaned_month(landing, month, 200))[1]
    marked = client.bucket(gcs.bucket).get_blob(name)
    assert marked is not None
    assert marked.metadata == {"taxi_platform": "green|2023-06"}


def test_a_missing_object_names_the_asset_to_materialize(gcs: GCSTrips) -> None:
    with pytest.raises(PermanentStoreError, match=r"green\|1999-01: .*materialize gcs_trips"):
        gcs.find(TripMonth.from_key("green|1999-01"))


def test_a_missing_bucket_is_said_with_the_way_out(
    client: storage.Client, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MONTH, 100)
    with pytest.raises(
        PermanentStoreError, match=r"green\|2023-03: there is no bucket gs://nowhere.*create it"
    ):
        GCSTrips(client, "nowhere").upload(trips)


def test_an_unreachable_server_is_worth_another_try(
    landing: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    trips = cleaned_month(landing, MONTH, 100)
    with (
        storage.Client(project="test", credentials=AnonymousCredentials()) as gone,
        pytest.raises(TransientStoreError, match=r"green\|2023-03: GCS, gs://taxi-lake"),
    ):
        GCSTrips(gone, "taxi-lake").upload(trips)


def test_a_file_that_changes_on_its_way_is_noticed(gcs: GCSTrips, landing: LandingZone) -> None:
    trips = cleaned_month(landing, TripMonth.from_key("green|2023-04"), 100)
    with pytest.raises(TransientStoreError, match="not what was sent"):
        gcs.upload(replace(trips, size=trips.size + 1))
