"""The setting of the source: a preset, or a template of addresses, which may contain secrets."""

import re
from string import Formatter
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from taxi_platform.sources.address import SourceAddress, parts_of, public_part, secrets_in
from taxi_platform.trips.month import TripMonth

PRESETS: Final = {
    "tlc": "https://d37ci6vzurychx.cloudfront.net/trip-data/{color}_tripdata_{month}.parquet",
    "mirror": (
        "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/"
        "{color}/{color}_tripdata_{month}.csv.gz"
    ),
}
"""Named sources: the TLC itself, and the mirror of its CSVs of 2019-01 to 2021-07."""

SYNTHETIC: Final = "synthetic"

ZONES_FILE: Final = "taxi_zone_lookup.csv"
SHAPES_FILE: Final = "taxi_zones.zip"
PUBLISHED_ZONES: Final = f"https://d37ci6vzurychx.cloudfront.net/misc/{ZONES_FILE}"

FIELDS: Final = ("color", "month", "year")

_SCHEMES = ("http", "https", "file")
_NAME = re.compile(r"[a-z0-9_]{1,20}")


class SourceTemplate:
    """Where months are published. Its text contains no secrets.

    Args:
        text: ``tlc``, ``mirror``, ``synthetic``, or a template such as
            ``https://host/{color}/{year}/{color}_tripdata_{month}.parquet``.

    Raises:
        ValueError: it is none of these. The message contains no secret of it.
    """

    def __init__(self, text: str) -> None:
        self.__text = text
        self.__template = PRESETS.get(text, text)
        if text != SYNTHETIC:
            _refuse(self.__template)

    def __str__(self) -> str:
        return self.__text if self.is_named else public_part(self.__text)

    def __repr__(self) -> str:
        return f"SourceTemplate({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceTemplate) and self.__text == other.__text

    def __hash__(self) -> int:
        return hash(self.__text)

    @property
    def is_named(self) -> bool:
        """Whether it is a preset or ``synthetic``, and not a template of one's own."""
        return self.__text in PRESETS or self.is_synthetic

    @property
    def is_synthetic(self) -> bool:
        """Whether months are generated."""
        return self.__text == SYNTHETIC

    @property
    def scheme(self) -> str:
        """The scheme of its addresses."""
        return urlsplit(self.__template).scheme

    def address(self, month: TripMonth) -> SourceAddress:
        """The address of a month's file."""
        year = f"{month.month:%Y}"
        return SourceAddress(
            self.__template.format(color=month.color, month=month.year_month, year=year)
        )

    def zones_address(self) -> SourceAddress:
        """The address of the zone lookup: the TLC's own, or in the folder above the trip files.

        That folder is the innermost that is the same for all months.
        """
        return self._beside_the_lookup(ZONES_FILE)

    def _beside_the_lookup(self, name: str) -> SourceAddress:
        if self.is_synthetic:
            return SourceAddress(f"{SYNTHETIC}:{name}")
        if self.is_named:
            return SourceAddress(PUBLISHED_ZONES.replace(ZONES_FILE, name))
        parts = urlsplit(self.__template)
        folder = parts.path.partition("{")[0].rpartition("/")[0]
        query = "" if "{" in parts.query else parts.query
        return SourceAddress(
            urlunsplit((parts.scheme, parts.netloc, f"{folder}/{name}", query, ""))
        )

    def zone_shapes_address(self) -> SourceAddress:
        """The address of the zones' shapes, which are beside the lookup."""
        return self._beside_the_lookup(SHAPES_FILE)

    def secrets(self) -> list[str]:
        """What to redact from messages: the password, the values of the query and the like."""
        return [] if self.is_named else secrets_in(self.__text)


def _refuse(template: str) -> None:
    """Refuses what is no template; no message repeats it, for it may contain a password."""
    expected = (
        f"give one of {', '.join(PRESETS)}, {SYNTHETIC}, or an http(s):// or file:// template "
        "with {color} and {month}, and {year} if you like"
    )
    parts = parts_of(template)
    if parts.scheme not in _SCHEMES:
        scheme = f"an address with {parts.scheme}://" if parts.scheme else "what it names"
        raise ValueError(
            f"{repr(template) if _NAME.fullmatch(template) else scheme} is no source: {expected}"
        )
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError(f"it names no host: {expected}")
    if re.search(r"[\x00-\x1f\x7f]", template):
        raise ValueError("it contains a control character, such as a line end")
    if set("{}") & set(parts.netloc):
        raise ValueError("a brace in its user, password or host: write it as %7B or %7D")
    if re.search(r"\{year\}\W?\{month\}", template):
        raise ValueError("{month} includes the year, such as 2024-01: leave {year} before it out")
    if "month" not in _fields(template):
        raise ValueError(f"it has no {{month}}, so all months would be one file: {expected}")


def _fields(template: str) -> set[str]:
    """The names in braces.

    Raises:
        ValueError: a brace stands alone, or a name is unknown.
    """
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        found = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError:
        raise ValueError(
            f"it has a brace that stands alone: {known} are the fields; write a brace as %7B or %7D"
        ) from None
    for _, name, spec, conversion in found:
        if name not in FIELDS or spec or conversion:
            said = f"{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}"
            raise ValueError(f"{{{said}}} is no field: {known} are")
    return {str(name) for _, name, _, _ in found}
