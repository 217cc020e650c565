"""A landing zone in a bucket: hosts with a folder each, on a real GCS server."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import AssetSelection, DagsterInstance, materialize
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from taxi_platform.assets.trips import trip_assets
from taxi_platform.checks.reconciliation import trip_checks
from taxi_platform.definitions import build_resources
from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing import bucket as bucket_module
from taxi_platform.landing.bucket import BucketStorage
from taxi_platform.landing.storage import LandedObject
from taxi_platform.landing.versions import Expected
from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import LANDING_CACHE_BYTES, load_settings
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.stores.gcs.client import bucket_zone
from taxi_platform.stores.gcs.landing import GCSLanding
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.gcs.transfers import Patience
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.errors import TooManyRejectedError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.month_runs import failures, in_postgres
from taxi_platform_tests.months import GREEN, cleaned_month

pytestmark = pytest.mark.integration

BUCKET = "landing-of-several-hosts"


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    with storage.Client(project="test", credentials=AnonymousCredentials()) as connected:
        bucket = connected.bucket(BUCKET)
        if not bucket.exists():
            bucket.create()
        for blob in connected.list_blobs(BUCKET):
            blob.delete()
        yield connected


Hosts = Callable[[str], LandingZone]


@pytest.fixture
def host(client: storage.Client, tmp_path: Path) -> Hosts:
    chosen = GCSSettings(environment="local", project="test", bucket=BUCKET)
    return lambda name: bucket_zone(tmp_path / name, chosen, LANDING_CACHE_BYTES)


def test_what_one_host_landed_is_read_on_another(host: Hosts) -> None:
    one, two = host("one"), host("two")
    trips = cleaned_month(one, GREEN, 3_000)

    raw = two.find_raw(GREEN)
    assert raw.path == two.raw_path(GREEN, ".parquet")
    assert raw.version == one.find_raw(GREEN).version
    found = two.find_cleaned(GREEN)
    assert found.path == two.cleaned_path(GREEN)
    assert found.path.read_bytes() == trips.path.read_bytes()
    assert found.stored
    assert found.stored == trips.stored
    assert found.stored.uri == f"gs://{BUCKET}/landing/cleaned/green/{GREEN.stem}.parquet"
    assert found.stored.crc32c == trips.crc32c
    assert two.reject_examples(GREEN, 2) == one.reject_examples(GREEN, 2) != {}
    latest = two.find_versions(GREEN).latest
    assert latest.rows_in_rejects == trips.rows_rejected > 0


def test_where_a_month_was_published_is_known_on_every_host(
    host: Hosts, tmp_path: Path, stack: EmbeddedStack
) -> None:
    one, two = host("one"), host("two")
    address = SourceTemplate("https://user:pw@host/{color}_{month}.parquet").address(GREEN)
    with one.raw_partial(GREEN) as partial:
        write_synthetic_month(GREEN, partial, 100)
        one.publish_raw(GREEN, ".parquet", partial, address)
    assert two.find_raw(GREEN).source == "https://host/green_2024-01.parquet"


def test_a_published_file_of_another_format_replaces_the_earlier_one(host: Hosts) -> None:
    one, two = host("one"), host("two")
    for ending in (".parquet", ".csv"):
        with one.raw_partial(GREEN) as partial:
            partial.write_text(ending)
            one.publish_raw(GREEN, ending, partial)
        assert two.find_raw(GREEN).path.read_text() == ending


def test_a_refused_and_an_unaccepted_version_are_known_on_every_host(host: Hosts) -> None:
    one, two = host("one"), host("two")
    loaded = cleaned_month(one, GREEN, 6_000)
    raw = one.find_raw(GREEN)
    with pytest.raises(TooManyRejectedError):
        one.write_cleaned(clean_trips(raw.path, GREEN, CleaningOptions(max_rejected_share=0)))
    refused = two.find_refusal(GREEN)
    assert refused is not None
    assert two.reject_examples(GREEN, 1, refused=True)

    # The host that compares need not be the one that loaded.
    with two.raw_partial(GREEN) as partial:
        write_synthetic_month(GREEN, partial, 900)
        raw = two.publish_raw(GREEN, ".parquet", partial)
    apart = two.write_cleaned(clean_trips(raw.path, GREEN))
    assert two.is_apart(apart)
    versions = one.find_versions(GREEN)
    assert (versions.latest.rows, versions.accepted is not None) == (apart.rows, True)
    assert one.find_cleaned(GREEN).version == loaded.version
    assert one.find_refusal(GREEN) is None

    accepted = cleaned_month(two, GREEN, 900)
    assert one.find_unaccepted(GREEN) is None
    assert one.find_cleaned(GREEN).version == accepted.version


@pytest.mark.parametrize("damage", [b"PAR1 and no more", None])
def test_a_stale_or_damaged_file_of_the_folder_is_fetched_anew(
    host: Hosts, damage: bytes | None
) -> None:
    one, two = host("one"), host("two")
    cleaned_month(one, GREEN, 500)
    two.find_cleaned(GREEN)
    if damage is None:
        new = cleaned_month(one, GREEN, 700)
    else:
        new = one.find_cleaned(GREEN)
        two.cleaned_path(GREEN).write_bytes(damage)
    expected = Expected(new.version, "run 1")
    for given in (expected, None):
        found = two.find_cleaned(GREEN, given)
        assert found.path.read_bytes() == new.path.read_bytes()


def test_the_recorded_version_is_read_from_the_folder_without_a_request(
    host: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = host("one")
    trips = cleaned_month(one, GREEN, 500)
    assert trips.stored
    expected = Expected(trips.version, "run 1", trips.stored.generation)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    cut_off = host("one")
    found = cut_off.find_cleaned(GREEN, expected)
    assert found.stored
    assert found.stored.generation == trips.stored.generation
    with pytest.raises(TransientStoreError, match=r"green\|2024-01"):
        cut_off.find_cleaned(GREEN)


def test_a_version_that_was_replaced_is_refused_by_name(host: Hosts) -> None:
    one, two = host("one"), host("two")
    old = Expected(cleaned_month(one, GREEN, 500).version, "run 1")
    new = cleaned_month(one, GREEN, 700).version
    with pytest.raises(PermanentStoreError) as refused:
        two.find_cleaned(GREEN, old)
    for part in (GREEN.key, old.content, new, "run 1", "materialize cleaned_trips"):
        assert part in str(refused.value)
    with pytest.raises(PermanentStoreError, match="run 1 recorded version"):
        two.find_cleaned(TripMonth.from_key("green|2024-02"), old)


def test_an_object_of_somebody_else_is_not_replaced(host: Hosts, client: storage.Client) -> None:
    name = f"landing/cleaned/green/{GREEN.stem}.parquet"
    client.bucket(BUCKET).blob(name).upload_from_string(b"mine")
    with pytest.raises(PermanentStoreError, match="was not written by the platform"):
        cleaned_month(host("one"), GREEN, 500)
    assert client.bucket(BUCKET).blob(name).download_as_bytes() == b"mine"


class BadNetwork(GCSLanding):
    def download(self, month: TripMonth, stored: LandedObject, path: Path) -> None:
        super().download(month, stored, path)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_what_changed_on_its_way_is_not_read(
    host: Hosts, client: storage.Client, tmp_path: Path
) -> None:
    cleaned_month(host("one"), GREEN, 500)
    objects = BadNetwork(lambda: client, BUCKET, Patience())
    two = LandingZone(BucketStorage(tmp_path / "two", objects, LANDING_CACHE_BYTES))
    with pytest.raises(TransientStoreError, match="changed on its way"):
        two.find_cleaned(GREEN)
    assert [path for path in two.root.rglob("*") if path.is_file()] == []


def test_the_folder_is_kept_small_but_for_what_is_in_use(
    client: storage.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = [TripMonth.from_key(f"green|2024-0{n}") for n in (1, 2, 3)]
    objects = GCSLanding(lambda: client, BUCKET, Patience())
    zone = LandingZone(BucketStorage(tmp_path / "one", objects, cache_bytes=0))
    for month in months:
        cleaned_month(zone, month, 500)

    def there() -> list[TripMonth]:
        return [month for month in months if zone.cleaned_path(month).exists()]

    assert there() == months, "all were used just now"
    for hours, month in enumerate(reversed(months), 3):
        path = zone.cleaned_path(month)
        changed, used = path.stat().st_mtime_ns, time.time_ns() - hours * 3600 * 10**9
        os.utime(path, ns=(used, changed))
    monkeypatch.setattr(bucket_module, "IN_USE_SECONDS", 3.5 * 3600)
    zone.find_raw(months[0])
    cleaned_month(zone, GREEN, 600)
    assert there() == [months[0], months[2]], "the first was written anew, the last is in use"
    assert zone.find_cleaned(months[1]).rows > 0


def test_others_files_in_the_folder_stay_and_nothing_is_removed_through_a_link(
    client: storage.Client, tmp_path: Path
) -> None:
    root, elsewhere = tmp_path / "one", tmp_path / "elsewhere"
    name = f"{GREEN.stem}.parquet"
    linked = [root / "raw" / "yellow", root / "cleaned" / "fhvhv", root / "rejected"]
    kept = [
        root / "photos" / "2024" / "beach.jpg",
        root / "photos" / "green" / name,
        root / "raw" / "green" / "notes.txt",
        root / "raw" / "green" / "yellow_tripdata_2024-01.parquet",
        elsewhere / "fhvhv_tripdata_2024-01.parquet",
        elsewhere / "yellow_tripdata_2024-01.csv.gz",
        elsewhere / "green" / name,
    ]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
        os.utime(path, (0, 0))
    for link in linked:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(elsewhere)
    (root / "raw" / "green" / name).symlink_to(elsewhere / "green" / name)

    unused, used = (root / "raw" / "green" / f"green_tripdata_2023-0{n}.parquet" for n in (1, 2))
    for path in (unused, used):
        path.write_text("a month")
    os.utime(unused, (0, 0))
    objects = GCSLanding(lambda: client, BUCKET, Patience())
    BucketStorage(root, objects, cache_bytes=0).keep(
        TripMonth.from_key("green|2023-02"), f"raw/green/{used.name}"
    )
    assert (unused.exists(), used.exists()) == (False, True)
    assert [path for path in kept if not path.exists()] == []
    assert all(link.is_symlink() for link in (*linked, root / "raw" / "green" / name))


def test_several_processes_make_room_at_once(
    client: storage.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = GCSLanding(lambda: client, BUCKET, Patience())
    place = tmp_path / "raw" / "green"
    place.mkdir(parents=True)
    names = [f"green_tripdata_2023-{n:02}.parquet" for n in range(1, 10)]
    for name in names:
        (place / name).write_text("a month")
        os.utime(place / name, (0, 0))
    stat = Path.stat

    def gone_meanwhile(path: Path, **options: bool) -> os.stat_result:
        if path == place / names[3]:
            path.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", gone_meanwhile)
    month = TripMonth.from_key("green|2023-09")
    BucketStorage(tmp_path, objects, cache_bytes=0).keep(month, f"raw/green/{names[-1]}")
    assert [path.name for path in place.iterdir()] == [names[-1]], "it was used just now"


def test_the_trip_object_is_copied_within_the_bucket(host: Hosts, client: storage.Client) -> None:
    trips = cleaned_month(host("one"), GREEN, 500)
    content = trips.path.read_bytes()
    checksum = trips.crc32c
    assert checksum
    gcs = GCSTrips(client, BUCKET)
    here = trips.path.rename(trips.path.with_suffix(".gone"))
    os.link(here, trips.path)  # for its checksum; it is not sent
    sent: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.Blob, "upload_from_file", lambda *args, **_: sent.append(args))
        stored, uploaded = gcs.upload(trips)
    assert uploaded
    assert sent == []
    assert stored.crc32c == checksum
    blob = client.bucket(BUCKET).get_blob(stored.name)
    assert blob.download_as_bytes() == content
    assert blob.metadata == {"taxi_platform": GREEN.key}
    assert gcs.upload(trips) == (stored, False)

    # Without its object, the file itself is sent.
    other = cleaned_month(host("one"), GREEN, 700)
    assert other.stored
    client.bucket(BUCKET).blob(f"landing/{other.stored.name}").delete()
    assert gcs.upload(other)[0].crc32c == other.crc32c


def test_a_store_on_another_host_is_loaded_with_the_version_that_was_recorded(
    stack: EmbeddedStack,
    client: storage.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In folders, the stale file of the second host was loaded, and the check confirmed it."""
    published = tmp_path / "published"
    published.mkdir()
    monkeypatch.setenv(
        "TAXI_SOURCE_URL", f"file://{published}/{{color}}_tripdata_{{month}}.parquet"
    )
    monkeypatch.setenv("TAXI_LANDING", "bucket")
    monkeypatch.setenv("TAXI_GCS_BUCKET", BUCKET)
    monkeypatch.setenv("TAXI_BIGQUERY_DATASET", "several_hosts")
    monkeypatch.setenv("TAXI_POSTGRES_SCHEMA", "several_hosts")

    def run(name: str, *assets: str) -> None:
        monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / name))
        chosen = load_settings()
        result = materialize(
            [*trip_assets(chosen), *trip_checks(chosen)],
            selection=AssetSelection.assets(*assets) | AssetSelection.checks_for_assets(*assets),
            partition_key=GREEN.key,
            resources=build_resources(chosen),
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {"cleaned_trips": {"config": {"accept_replacement": True}}}}
            if "cleaned_trips" in assets
            else None,
        )
        assert result.success, failures(result)

    with DagsterInstance.ephemeral() as instance:
        write_synthetic_month(GREEN, published / f"{GREEN.stem}.parquet", 500)
        run("two", "raw_trips", "cleaned_trips", "postgres_trips")
        write_synthetic_month(GREEN, published / f"{GREEN.stem}.parquet", 900)
        run("one", "raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips")
        run("two", "postgres_trips")
        rows = load_settings().landing_zone().find_cleaned(GREEN).rows
    assert rows > 500
    assert in_postgres(stack.postgres().conninfo, "several_hosts", GREEN.key)[0] == rows
