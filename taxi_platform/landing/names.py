"""The names of the files in a landing zone, below its folder."""

from taxi_platform.landing.versions import RAW
from taxi_platform.trips.month import TripMonth

CLEANED, REJECTED, REFUSED, UNACCEPTED = "cleaned", "rejected", "refused", "unaccepted"


def file_name(what: str, month: TripMonth) -> str:
    """The name of a month's Parquet file: cleaned, rejected or refused."""
    return f"{what}/{month.color}/{month.stem}.parquet"


def raw_name(month: TripMonth, ending: str) -> str:
    """The name of a month's published file."""
    return f"{RAW}/{month.color}/{month.stem}{ending}"


def name_apart(what: str, month: TripMonth) -> str:
    """The name of a file of a version that may not take the month's place."""
    return f"{UNACCEPTED}/{file_name(what, month)}"
