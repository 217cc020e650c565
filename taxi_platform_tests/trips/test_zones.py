import csv
from pathlib import Path

import pytest

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.zones import ZONE_SCHEMA, parse_zones, synthetic_zones


@pytest.mark.real_data
def test_the_tlcs_lookup_is_read_unchanged(real_data: Path) -> None:
    path = real_data / "taxi_zone_lookup.csv"
    zones = parse_zones(path.read_bytes())
    with path.open(newline="") as file:
        plain = list(csv.reader(file))[1:]
    assert zones.num_rows == len(plain) == 265
    assert [[str(v) for v in row.values()][:4] for row in zones.to_pylist()] == plain
    assert "N/A" in zones["service_zone"].to_pylist()
    assert zones["borough"].null_count == zones["zone"].null_count == 0


def test_synthetic_zones_are_read_like_published_ones() -> None:
    zones = parse_zones(synthetic_zones())
    assert zones.schema.equals(ZONE_SCHEMA)
    assert zones["location_id"].to_pylist() == list(range(1, 266))
    assert zones["borough"].to_pylist()[-1] == "N/A"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not the zone lookup"),
        (b"<html></html>", "not the zone lookup"),
        (b"VendorID,tpep_pickup_datetime\n1,2\n", "VendorID"),
        (b"LocationID,Borough,Zone,service_zone\n", "is empty"),
        (b"LocationID,Borough,Zone,service_zone\n1,A,B,C\n1,A,B,C\n", "a zone twice"),
        (b"LocationID,Borough,Zone,service_zone\nnone,A,B,C\n", "line 2 of the zone lookup"),
        (b"LocationID,Borough,Zone,service_zone\n99999,A,B,C\n", "zone lookup"),
    ],
)
def test_a_file_that_is_not_the_lookup_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TripFileError, match=said):
        parse_zones(content)
