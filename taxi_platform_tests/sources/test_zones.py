from pathlib import Path

import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.zones import PUBLISHED_AT, fetch_zones, zones_address
from taxi_platform_tests.sources.publisher import Publisher


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
