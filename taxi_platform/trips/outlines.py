"""Outlines of places: simplified, and converted from feet to degrees."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Ring = Sequence[Sequence[float]]

TOLERANCE = 0.0008
"""Degrees by which a simplified outline may differ, some 70 m: a fraction of a pixel."""

SMALLEST = 2e-5
"""Square degrees; smaller islands are left out."""

# The projection of New York's maps, EPSG:2263: Lambert's conformal conic on GRS 80, in US feet.
# https://epsg.io/2263, and Snyder, Map Projections (1987), pages 107 to 109.
_US_FOOT = 1200 / 3937
_A, _E = 6_378_137.0, 0.0818191910428158
_LAT_1, _LAT_2, _LAT_0 = (np.radians(d) for d in (41 + 2 / 60, 40 + 40 / 60, 40 + 10 / 60))
_LON_0, _EASTING = np.radians(-74.0), 300_000.0


def _t(lat: Any) -> Any:
    sine = _E * np.sin(lat)
    return np.tan(np.pi / 4 - lat / 2) / ((1 - sine) / (1 + sine)) ** (_E / 2)


def _m(lat: Any) -> Any:
    return np.cos(lat) / np.sqrt(1 - (_E * np.sin(lat)) ** 2)


_N = np.log(_m(_LAT_1) / _m(_LAT_2)) / np.log(_t(_LAT_1) / _t(_LAT_2))
_F = _m(_LAT_1) / (_N * _t(_LAT_1) ** _N)
_RHO_0 = _A * _F * _t(_LAT_0) ** _N


def degrees_of_feet(points: Any) -> Any:
    """Longitudes and latitudes of points on New York's maps (EPSG:2263).

    Args:
        points: an array of pairs, in US feet.
    """
    x, y = np.asarray(points, dtype=np.float64)[:, :2].T * _US_FOOT
    x = x - _EASTING
    rho = np.hypot(x, _RHO_0 - y)
    t = (rho / (_A * _F)) ** (1 / _N)
    lat = np.pi / 2 - 2 * np.arctan(t)
    for _ in range(6):  # each time some three digits more
        sine = _E * np.sin(lat)
        lat = np.pi / 2 - 2 * np.arctan(t * ((1 - sine) / (1 + sine)) ** (_E / 2))
    lon = np.arctan2(x, _RHO_0 - y) / _N + _LON_0
    return np.degrees(np.stack([lon, lat], axis=1))


def simplified(
    geometry: Mapping[str, Any], tolerance: float = TOLERANCE, smallest: float = SMALLEST
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
