from pathlib import Path

import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.template import PUBLISHED_ZONES, SourceTemplate
from taxi_platform.sources.zones import fetch_zones
from taxi_platform_tests.sources.publisher import Publisher


def zones_address(template: str) -> str:
    return str(SourceTemplate(template).zones_address())


def fetch(template: str) -> bytes | None:
    return fetch_zones(SourceTemplate(template))


def test_the_lookup_is_the_tlcs_or_lies_beside_the_trips() -> None:
    assert zones_address("tlc") == zones_address("mirror") == PUBLISHED_ZONES
    assert zones_address("file:///data/{color}_tripdata_{month}.csv") == (
        "file:///data/taxi_zone_lookup.csv"
    )
    assert zones_address("https://host/trips/{color}/{year}/{color}_tripdata_{month}.csv") == (
        "https://host/trips/taxi_zone_lookup.csv"
    )


def test_a_source_without_a_lookup_is_no_error(publisher: Publisher, tmp_path: Path) -> None:
    assert fetch(publisher.template) is None
    assert fetch(f"file://{tmp_path}/{{color}}_{{month}}.csv") is None


def test_the_lookup_is_fetched_as_published(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"LocationID")
    assert fetch(publisher.template) == b"LocationID"
    (tmp_path / "taxi_zone_lookup.csv").write_bytes(b"here")
    assert fetch(f"file://{tmp_path}/{{color}}_{{month}}.csv") == b"here"


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_source_is_worth_another_try(publisher: Publisher, status: int) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"later", status=status)
    with pytest.raises(TransientStoreError, match=str(status)):
        fetch(publisher.template)


def test_a_refusing_source_fails_for_good(publisher: Publisher) -> None:
    publisher.publish("taxi_zone_lookup.csv", b"no", status=400)
    with pytest.raises(PermanentStoreError, match="400"):
        fetch(publisher.template)
