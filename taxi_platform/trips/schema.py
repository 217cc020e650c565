"""The canonical columns of a trip, and the names under which the TLC published them.

This is the one definition of the schema: the reader's casts, the tables of BigQuery and
Postgres, the metadata in the UI and the documentation are derived from it. Names follow
BigQuery's public copy of this data, so that queries carry over. How a file is read, and what a
store's types are called, does not belong here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import COLORS

CODE = pa.int16()
"""Codes and small counts: narrow types halve the bytes that Postgres is sent."""
AMOUNT = pa.float64()
TIME = pa.timestamp("us")
"""New York local time without a zone, as published: its repeated hour in autumn is ambiguous."""

DATA_FILE_MONTH = "data_file_month"


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes:
        name: canonical name.
        type: Arrow type in every cleaned file.
        description: meaning, with units and codes.
        published_as: the TLC's names for it, trimmed and in lower case.
        colors: the colors that have it.
        required: whether a file without it is refused.
        never_null: whether every trip has it.
        spelled: values as some eras spell them, trimmed and in lower case, and what they mean.
        eras: when it was published.
        unit: of its numbers.
    """

    name: str
    type: pa.DataType
    description: str
    published_as: tuple[str, ...] = ()
    colors: tuple[str, ...] = COLORS
    required: bool = False
    never_null: bool = False
    spelled: tuple[tuple[str, str], ...] = ()
    eras: str = "all"
    unit: str = ""


def _dollars(
    name: str,
    description: str,
    *published_as: str,
    eras: str = "all",
    colors: tuple[str, ...] = COLORS,
) -> Column:
    """An amount of money, required where every era has it."""
    return Column(
        name,
        AMOUNT,
        description,
        published_as,
        colors=colors,
        required=eras == "all",
        never_null=name in ("fare_amount", "total_amount"),
        eras=eras,
        unit="US dollars",
    )


def _degrees(name: str, published_as: str) -> Column:
    end, axis = name.split("_")
    return Column(
        name,
        AMOUNT,
        f"{axis.capitalize()} of the {end}; 0 where unknown.",
        (published_as,),
        eras="until 2016-06",
        unit="degrees",
    )


_VENDORS = (("cmt", "1"), ("vts", "2"), ("dds", "3"))
_PAYMENTS = (
    *(("credit", "1"), ("cre", "1"), ("crd", "1")),
    *(("cash", "2"), ("cas", "2"), ("csh", "2")),
    *(("no charge", "3"), ("noc", "3"), ("no", "3")),
    *(("dispute", "4"), ("dis", "4")),
    *(("unknown", "5"), ("unk", "5")),
)
_FLAGS = (("0", "N"), ("1", "Y"))

_COLUMNS = (
    Column(
        "vendor_id",
        CODE,
        "Provider of the record: 1 Creative Mobile Technologies, 2 VeriFone/Curb, 3 Digital "
        "Dispatch Systems, 6 Myle, 7 Helix. Null where the TLC left it out.",
        ("vendorid", "vendor_name"),
        required=True,
        spelled=_VENDORS,
    ),
    Column(
        "pickup_datetime",
        TIME,
        "When the meter was engaged, New York local time without zone.",
        ("lpep_pickup_datetime", "tpep_pickup_datetime", "trip_pickup_datetime"),
        required=True,
        never_null=True,
    ),
    Column(
        "dropoff_datetime",
        TIME,
        "When the meter was disengaged, New York local time without zone.",
        ("lpep_dropoff_datetime", "tpep_dropoff_datetime", "trip_dropoff_datetime"),
        required=True,
        never_null=True,
    ),
    Column(
        "passenger_count",
        CODE,
        "Passengers as entered by the driver. 0 means 'not recorded': by default rows that say "
        "zero are rejected and a missing count becomes 0.",
        required=True,
    ),
    Column(
        "trip_distance",
        AMOUNT,
        "Distance by the taximeter.",
        required=True,
        never_null=True,
        unit="miles",
    ),
    Column(
        "rate_code_id",
        CODE,
        "Final rate: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, "
        "6 group ride, 99 unknown.",
        ("ratecodeid", "rate_code"),
        required=True,
    ),
    Column(
        "store_and_fwd_flag",
        pa.string(),
        "Y where the record was held in the vehicle before it was sent, else N.",
        ("store_and_forward",),
        required=True,
        spelled=_FLAGS,
    ),
    Column(
        "pickup_location_id",
        CODE,
        "TLC taxi zone of the pickup; 264 and 265 are unknown.",
        ("pulocationid",),
        eras="since 2016-07",
    ),
    Column(
        "dropoff_location_id",
        CODE,
        "TLC taxi zone of the dropoff; 264 and 265 are unknown.",
        ("dolocationid",),
        eras="since 2016-07",
    ),
    Column(
        "payment_type",
        CODE,
        "0 flex fare, 1 credit card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided.",
        required=True,
        spelled=_PAYMENTS,
    ),
    _dollars("fare_amount", "Fare by the meter. Reversals are negative.", "fare_amt"),
    _dollars("extra", "Surcharges for rush hour and night.", "surcharge"),
    _dollars("mta_tax", "The MTA's tax."),
    _dollars("tip_amount", "Card tips; cash tips are absent.", "tip_amt"),
    _dollars("tolls_amount", "All tolls.", "tolls_amt"),
    _dollars("improvement_surcharge", "Charged at the flag drop.", eras="since 2015-01"),
    _dollars(
        "total_amount",
        "All that was charged, without cash tips. Not always the sum of the parts.",
        "total_amt",
    ),
    _dollars("congestion_surcharge", "New York State's charge.", eras="since 2019-01"),
    _dollars(
        "airport_fee", "For pickups at LaGuardia and JFK.", eras="since 2021", colors=("yellow",)
    ),
    _dollars("cbd_congestion_fee", "The MTA's charge for the zone.", eras="since 2025-01"),
    _dollars(
        "ehail_fee", "The e-hail fee; hardly ever set.", eras="since 2013-08", colors=("green",)
    ),
    Column("trip_type", CODE, "1 street hail, 2 dispatch.", colors=("green",)),
    _degrees("pickup_longitude", "start_lon"),
    _degrees("pickup_latitude", "start_lat"),
    _degrees("dropoff_longitude", "end_lon"),
    _degrees("dropoff_latitude", "end_lat"),
    Column(
        DATA_FILE_MONTH,
        pa.date32(),
        "First day of the month of the file that the row was published in, which for a few rows "
        "is not the month of the trip. The partition column.",
        never_null=True,
    ),
)


@cache
def columns(color: str) -> tuple[Column, ...]:
    """The canonical columns of a color, in their order in every store."""
    return tuple(column for column in _COLUMNS if color in column.colors)


@cache
def trip_schema(color: str) -> pa.Schema:
    """The Arrow schema of every cleaned file of a color, descriptions as field metadata."""
    return pa.schema(
        pa.field(c.name, c.type, metadata={"description": c.description}) for c in columns(color)
    )


def chosen_schema(color: str, names: Sequence[str] | None = None) -> pa.Schema:
    """The Arrow schema of some canonical columns, in the order of their names; by default of all.

    Raises:
        ValueError: a name is no column of the color.
    """
    schema = trip_schema(color)
    if names is None:
        return schema
    if unknown := [name for name in names if name not in schema.names]:
        raise ValueError(
            f"{color} trips have no column {', '.join(unknown)}, but {', '.join(schema.names)}"
        )
    return pa.schema([schema.field(name) for name in names])


@cache
def _by_published_name(color: str) -> dict[str, Column]:
    """Every spelling of a color's columns, the canonical name among them."""
    return {
        spelling: column
        for column in columns(color)
        if column.name != DATA_FILE_MONTH
        for spelling in (column.name, *column.published_as)
    }


def normalize_name(published: str) -> str:
    """A header name without what the TLC varies: blanks around it, case, a byte order mark."""
    return published.strip("\ufeff \t\r\n\"'").casefold()


def color_of_header(published: Iterable[str]) -> str | None:
    """The color that a header speaks of (tpep is yellow, lpep is green), None where it does not."""
    for name in map(normalize_name, published):
        # Only yellow was published before the prefixes: 2009's names, then 2010's.
        if name.startswith(("tpep_", "trip_pickup_", "trip_dropoff_")) or name == "surcharge":
            return "yellow"
        if name.startswith("lpep_"):
            return "green"
    return None


@dataclass(frozen=True)
class ColumnMap:
    """How a published header meets the canonical schema.

    Attributes:
        mapped: published name, as it stands in the file, to canonical column; in file order.
        unknown: published names that the schema does not know.
    """

    mapped: dict[str, Column]
    unknown: tuple[str, ...]


def map_columns(published: Sequence[str], color: str) -> ColumnMap:
    """Maps a file's header to the canonical columns of a color.

    Raises:
        TripFileError: a required column is missing, or two columns mean the same.
    """
    spellings = _by_published_name(color)
    mapped: dict[str, Column] = {}
    unknown: list[str] = []
    for name in published:
        column = spellings.get(normalize_name(name))
        if column is None:
            unknown.append(name)
        elif column in mapped.values():
            raise TripFileError(
                f"two columns mean {column.name}: {name!r} and "
                f"{next(n for n, c in mapped.items() if c == column)!r}"
            )
        else:
            mapped[name] = column
    missing = [c.name for c in columns(color) if c.required and c not in mapped.values()]
    if missing:
        # The file may be anything, a picture too: what is not printable must not reach a log.
        found = "".join(c if c.isprintable() else "?" for c in ", ".join(published[:30])[:400])
        raise TripFileError(
            f"not a {color} trip file: no column for {', '.join(missing)}; "
            f"its header has {len(published)}: {found}"
        )
    return ColumnMap(mapped, tuple(unknown))
