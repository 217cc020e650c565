"""The names of the files in a landing zone, below its folder."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from taxi_platform.landing.versions import RAW
from taxi_platform.sources.publications import RAW_ENDINGS
from taxi_platform.trips.month import TripMonth

CLEANED, REJECTED, REFUSED, UNACCEPTED = "cleaned", "rejected", "refused", "unaccepted"

MONTH_NAME = r"(?P<color>[a-z0-9]+)_tripdata_[0-9]{4}-[0-9]{2}"
"""A month's part of the name of its files, as a pattern."""

FILE_NAME = re.compile(rf"{MONTH_NAME}(?:{'|'.join(map(re.escape, RAW_ENDINGS))})")
"""The names of published, cleaned, rejected and refused files."""


def file_name(what: str, month: TripMonth) -> str:
    """The name of a month's Parquet file: cleaned, rejected or refused."""
    return f"{what}/{month.color}/{month.stem}.parquet"


def raw_name(month: TripMonth, ending: str) -> str:
    """The name of a month's published file."""
    return f"{RAW}/{month.color}/{month.stem}{ending}"


def name_apart(what: str, month: TripMonth) -> str:
    """The name of a file of a version that may not take the month's place."""
    return f"{UNACCEPTED}/{file_name(what, month)}"


def own_files(root: Path, folders: Sequence[str], names: re.Pattern[str]) -> Iterator[Path]:
    """The files in ``FOLDER/COLOR`` whose names are the platform's own; nothing behind a link.

    Others may keep files in the folder too, which are not looked at.
    """
    for folder in folders:
        for color in _entries(root / folder):
            if color.is_dir(follow_symlinks=False):
                for entry in _entries(Path(color.path)):
                    match = names.fullmatch(entry.name)
                    if match and match["color"] == color.name and _is_file(entry):
                        yield Path(entry.path)


def _entries(folder: Path) -> Sequence["os.DirEntry[str]"]:
    if folder.is_symlink():
        return ()
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return ()


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False)
