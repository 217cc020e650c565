"""What a new materialization makes stale, asked of Dagster's own staleness, on real stores."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dagster import AssetKey, DagsterInstance, materialize
from dagster._core.definitions.data_version import StaleStatus
from dagster._utils.test.data_versions import get_stale_status_resolver

from taxi_platform.assets.trips import trip_assets
from taxi_platform.definitions import build_resources
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("yellow|2023-11")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture
def published(tmp_path: Path) -> bytes:
    path = tmp_path / "month.parquet"
    write_synthetic_month(MONTH, path, rows=1_200)
    return path.read_bytes()


def test_a_file_published_again_makes_stale_what_follows_only_if_it_changed(
    stack: EmbeddedStack,
    publisher: Publisher,
    published: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TAXI_SOURCE_URL", publisher.template)
    chosen = load_settings()
    trips = trip_assets(chosen)
    with DagsterInstance.ephemeral() as instance:

        def load(*names: str) -> None:
            result = materialize(
                trips,
                partition_key=MONTH.key,
                selection=list(names),
                resources=build_resources(chosen),
                instance=instance,
            )
            assert result.success

        def stale() -> list[str]:
            resolver = get_stale_status_resolver(instance, trips)
            return [
                name
                for name in names
                if resolver.get_status(AssetKey(name), MONTH.key) is not StaleStatus.FRESH
            ]

        names = [asset.key.to_user_string() for asset in trips]
        file = f"{MONTH.stem}.parquet"
        publisher.publish(file, published, etag='"v1"')
        assert stale() == names
        load(*names)
        assert stale() == []

        publisher.publish(file, published, etag='"v2"')
        load("raw_trips")
        assert stale() == []
        load("cleaned_trips")
        assert stale() == []

        fewer = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(published))[:-1], fewer)
        publisher.publish(file, fewer.getvalue(), etag='"v3"')
        load("raw_trips")
        # Dagster compares an asset with those that it is made from, not with theirs.
        assert stale() == ["cleaned_trips"]
        load("cleaned_trips", "gcs_trips")
        assert stale() == ["bigquery_trips", "postgres_trips"]
        load("bigquery_trips", "postgres_trips")
        assert stale() == []
