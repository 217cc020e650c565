"""Says why a Parquet file cannot be read, and finds damage that its reader does not."""

import os
from pathlib import Path
from typing import IO

import pyarrow as pa

from taxi_platform.trips.errors import TripFileError

PARQUET_MAGIC = b"PAR1"
"""How a Parquet file begins and ends."""

PARQUET_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises for damaged files; UnicodeDecodeError for a damaged column name."""

_JUNCTION = PARQUET_MAGIC + PARQUET_MAGIC

_MAX_JOINED_FILES = 4

_FOOTER_TOLERANCE = 1 << 14
"""Files of the same layout differ by their footers' statistics only, by far fewer bytes."""


def damaged(path: Path, error: Exception) -> TripFileError:
    """The error for a Parquet file that pyarrow cannot read."""
    reason = str(error).splitlines()[0]
    if "crypt" in reason:
        return TripFileError(
            f"{path.name} is an encrypted Parquet file ({reason}): provide it without encryption"
        )
    if isinstance(error, pa.ArrowNotImplementedError):
        return TripFileError(
            f"{path.name} has a column of a type that cannot be read ({reason}): write it as a "
            "64-bit integer, a double, a text or a timestamp"
        )
    return TripFileError(
        f"{path.name} is a damaged or truncated Parquet file ({reason}): download it again"
    )


def refuse_lost_start(path: Path) -> None:
    """Refuses a file that only ends as Parquet does.

    Raises:
        TripFileError: it does.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(PARQUET_MAGIC)))
        if file.read() == PARQUET_MAGIC:
            raise damaged(path, ValueError("it does not begin as Parquet does"))


def refuse_joined_files(path: Path, content: IO[bytes]) -> None:
    """Refuses a file that consists of several Parquet files of about the same size.

    Only the footer of the last one is read, with positions that count from the start of the first.
    If the files have the same layout, the values of the first would be read, and the rows of the
    others would be lost. Files of another layout cannot be read at all.

    Args:
        path: the file, for the message.
        content: its bytes; their position is not kept.

    Raises:
        TripFileError: it does.
    """
    size = content.seek(0, os.SEEK_END)
    for files in range(2, _MAX_JOINED_FILES + 1):
        content.seek(max(0, size // files - _FOOTER_TOLERANCE))
        if _JUNCTION in content.read(2 * _FOOTER_TOLERANCE):
            raise TripFileError(
                f"{path.name} consists of several Parquet files that were joined byte by byte, of "
                "which only one would be read: provide the month as one file"
            )
