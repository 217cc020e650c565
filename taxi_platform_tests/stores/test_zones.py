from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from taxi_platform.stores.zones import (
    PUBLISHED_AT,
    fetch_zones,
    read_from_postgres,
    replace_in_bigquery,
    replace_in_postgres,
    zones_address,
)

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.trips.zones import parse_zones, synthetic_zones
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.sources.publisher import Publisher

ZONES = parse_zones(synthetic_zones())


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[bigquery.Client]:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", stack.environment["BIGQUERY_EMULATOR_HOST"])
    with bigquery.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield connected


def test_the_lookup_is_the_tlcs_or_lies_beside_the_trips() -> None:
    assert zones_address("tlc") == zones_address("mirror") == PUBLISHED_AT
    assert zones_address("file:///data/{color}_tripdata_{month}.csv") == (
        "file:///data/taxi_zone_lookup.csv"
    )


def test_a_source_without_a_lookup_is_no_error(publisher: Publisher, tmp_path: Path) -> None:
    assert fetch_zones(zones_address(publisher.template)) is None
    assert fetch_zones(f"file://{tmp_path}/taxi_zone_lookup.csv") is None


def test_the_lookup_is_fetched_as_published(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"LocationID")
    assert fetch_zones(zones_address(publisher.template)) == b"LocationID"
    (tmp_path / "taxi_zone_lookup.csv").write_bytes(b"here")
    assert fetch_zones(f"file://{tmp_path}/taxi_zone_lookup.csv") == b"here"


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_source_is_worth_another_try(publisher: Publisher, status: int) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"later", status=status)
    with pytest.raises(TransientStoreError, match=str(status)):
        fetch_zones(zones_address(publisher.template))


def test_a_refusing_source_fails_for_good(publisher: Publisher) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"no", status=400)
    with pytest.raises(PermanentStoreError, match="400"):
        fetch_zones(zones_address(publisher.template))


@pytest.mark.integration
def test_both_stores_hold_the_zones_once_however_often_they_are_loaded(
    stack: EmbeddedStack, client: bigquery.Client
) -> None:
    server = stack.postgres()
    for _ in range(2):
        table = replace_in_bigquery(client, "zones_test", "US", ZONES)
        replace_in_postgres(server, "zones_test", ZONES)
    rows = client.query_and_wait(
        "SELECT COUNT(*) n, COUNTIF(borough = 'N/A') na, COUNTIF(zone IS NULL) nulls "
        f"FROM `{table}`"
    )
    assert tuple(next(iter(rows)).values()) == (265, 1, 0)
    assert read_from_postgres(server, "zones_test").equals(ZONES)


@pytest.mark.integration
def test_a_load_that_fails_leaves_the_zones_as_they_were(stack: EmbeddedStack) -> None:
    server = stack.postgres()
    replace_in_postgres(server, "zones_test", ZONES)
    twice = ZONES.slice(0, 1)
    with pytest.raises(PermanentStoreError, match="taxi_zones: Postgres"):
        replace_in_postgres(
            server,
            "zones_test",
            type(ZONES).from_batches([*twice.to_batches(), *twice.to_batches()]),
        )
    with psycopg.connect(server.conninfo) as connection:
        row = connection.execute("SELECT count(*) FROM zones_test.taxi_zones").fetchone()
    assert row == (265,)
