"""The shapes of the TLC's taxi zones: a zipped shapefile beside the zone lookup."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.outlines import degrees_of_feet, simplified

MOST_BYTES = 64 << 20
"""How large a part of the archive may be when it is unpacked; the TLC's largest has 1.6 MB."""

_PARTS = (".shp", ".shx", ".dbf")


def parse_zone_shapes(content: bytes) -> dict[int, str]:
    """Parses the TLC's ``taxi_zones.zip``.

    Args:
        content: the archive.

    Returns:
        The outline of each zone by its id: a GeoJSON MultiPolygon in degrees, as text, simplified.

    Raises:
        TripFileError: it is not an archive with the shapes of zones.
    """
    # Imported here: few runs load zones.
    import shapefile

    try:
        parts = _unpacked(content)
        projection = parts.pop(".prj", b"").decode("utf-8", "replace")
        files = {ending[1:]: io.BytesIO(part) for ending, part in parts.items()}
        with shapefile.Reader(**files) as reader:
            shapes: dict[int, list[Any]] = {}
            for record in reader.iterShapeRecords():
                number = int(_value(record.record.as_dict(), "LocationID"))
                shapes.setdefault(number, []).append(record.shape.__geo_interface__)
    except TripFileError:
        raise
    # What pyshp raises of damaged files is of many kinds.
    except Exception as error:
        raise TripFileError(f"the shapes of the zones cannot be read: {error}") from error
    if not shapes:
        raise TripFileError("the shapes of the zones are empty")
    in_feet = _is_in_feet(projection)
    # Some zones have several records.
    return {number: json.dumps(_outline(found, in_feet)) for number, found in shapes.items()}


def _unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {}
        for one in archive.infolist():
            ending = f".{one.filename.rpartition('.')[2].lower()}"
            if ending in (*_PARTS, ".prj") and ending not in parts:
                if one.file_size > MOST_BYTES:
                    raise TripFileError(f"the shapes of the zones: {one.filename} is too large")
                parts[ending] = archive.read(one)
    if missing := [ending for ending in _PARTS if ending not in parts]:
        raise TripFileError(f"the shapes of the zones: no file {', '.join(missing)} in the archive")
    return parts


def _value(record: Mapping[str, Any], name: str) -> Any:
    found = {key.lower(): value for key, value in record.items()}
    if name.lower() not in found:
        raise TripFileError(f"the shapes of the zones have no {name}, but {', '.join(record)}")
    return found[name.lower()]


def _is_in_feet(projection: str) -> bool:
    if "Long_Island" in projection or "Long Island" in projection:
        return True
    if projection.startswith(("PROJCS", "PROJCRS")):
        raise TripFileError(f"the shapes of the zones are of another map: {projection[:60]}")
    return False


def _outline(geometries: list[Any], in_feet: bool) -> dict[str, Any]:
    polygons: list[Any] = []
    for geometry in geometries:
        is_one = geometry["type"] == "Polygon"
        polygons += [geometry["coordinates"]] if is_one else geometry["coordinates"]
    if in_feet:
        polygons = [[degrees_of_feet(ring).tolist() for ring in polygon] for polygon in polygons]
    return simplified({"type": "MultiPolygon", "coordinates": polygons})
