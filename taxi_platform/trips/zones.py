"""The TLC's taxi zones, which the location ids of trips refer to.

The zone lookup is one small file for all months. Zone names are not unique. ``N/A`` is a name in
it, not a missing value.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from taxi_platform.trips.errors import TripFileError

ZONE_SCHEMA = pa.schema(
    [
        pa.field("location_id", pa.int16(), metadata={"description": "TLC taxi zone."}),
        pa.field("borough", pa.string(), metadata={"description": "Borough, EWR, Unknown or N/A."}),
        pa.field("zone", pa.string(), metadata={"description": "Name of the zone; not unique."}),
        pa.field(
            "service_zone",
            pa.string(),
            metadata={"description": "Yellow Zone, Boro Zone, Airports, EWR or N/A."},
        ),
        pa.field(
            "geometry",
            pa.string(),
            metadata={
                "description": "Outline, simplified: a GeoJSON MultiPolygon in degrees, for "
                "ST_GEOGFROMGEOJSON and ST_GeomFromGeoJSON; null where the source has no shapes."
            },
        ),
    ]
)

_LETTERS = (
    "EQXMSSQQQQBMMBQQBXQXBBSMBBQQBQXXBBBBBQBBMMMSMXXMBMXBQBBQQXXXBBBQBB"
    "BMXQBBQMMBBXMBXQQSBQMMBMBQQXQQBQSMQQMMMBMBSSBBMMSMQSXMQQBQMXMMQQQQ"
    "BQQXMQQMMMMMQQXMBBMMMBBSQMXQMMMMBMXXXMQSQXQSBBQQBXXXXMSBBBQQQMBQQQ"
    "XXQMQSQSQXMBMXXSQQBQQXSBQMBQBBMMMMMMXMMMMXXXMMSMXXMXSQQXBBBQXQMMMU"
    "U"
)

_BOROUGHS = {
    "B": "Brooklyn",
    "E": "EWR",
    "M": "Manhattan",
    "Q": "Queens",
    "S": "Staten Island",
    "U": "Unknown",
    "X": "Bronx",
}

BOROUGHS = {number: _BOROUGHS[letter] for number, letter in enumerate(_LETTERS, start=1)}
"""The borough of each zone; of the last two, and of no zone, it is unknown.

The marts use it, and not a zone lookup, which the source may lack or may load during a run: then
two stores would name boroughs in two ways.
"""

PUBLISHED_NAMES = ("LocationID", "Borough", "Zone", "service_zone")


def parse_zones(content: bytes, shapes: Mapping[int, str] | None = None) -> pa.Table:
    """Parses the TLC's zone lookup.

    Args:
        content: the CSV file, with or without a byte order mark.
        shapes: the outline of each zone, from ``parse_zone_shapes``.

    Returns:
        A table of ``ZONE_SCHEMA``, in the file's order. Texts are unchanged.

    Raises:
        TripFileError: it is not the zone lookup.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    found = [name.strip() for name in reader.fieldnames or []]
    if found != list(PUBLISHED_NAMES):
        raise TripFileError(
            f"not the zone lookup: its header is {', '.join(found)[:200]!r}, expected "
            f"{', '.join(PUBLISHED_NAMES)}"
        )
    try:
        rows: list[dict[str, Any]] = [
            {
                field: row[name]
                for field, name in zip(ZONE_SCHEMA.names, PUBLISHED_NAMES, strict=False)
            }
            | {"location_id": int(row["LocationID"])}
            for row in reader
        ]
        for row in rows:
            row["geometry"] = (shapes or {}).get(row["location_id"])
        zones = pa.Table.from_pylist(rows, schema=ZONE_SCHEMA)
    except (TypeError, ValueError, OverflowError) as error:
        raise TripFileError(f"line {reader.line_num} of the zone lookup: {error}") from error
    if not rows or len({row["location_id"] for row in rows}) != len(rows):
        raise TripFileError("the zone lookup is empty or contains a zone twice")
    return zones


def synthetic_zones() -> bytes:
    """Generates a zone lookup in the published format with made-up names, for demo and tests."""
    lines = [",".join(f'"{name}"' for name in PUBLISHED_NAMES)]
    lines += [f'{n},"{BOROUGHS[n]}","Made-up Zone {n}","Boro Zone"' for n in range(1, 264)]
    lines += ['264,"Unknown","N/A","N/A"', '265,"N/A","Outside of NYC","N/A"']
    return "\r\n".join([*lines, ""]).encode()
