"""Downloads published files into the landing zone.

A download is checked to be a complete trip file before it replaces anything.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.files import RawFile
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.publications import Published, Report, TripSource
from taxi_platform.sources.unfinished_downloads import forget, notes_of, validator_of
from taxi_platform.trips.byte_streams import GZIP_MAGIC
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.reader import open_trip_file

CHUNK_BYTES = 1 << 20


def land(
    source: TripSource,
    month: TripMonth,
    landing: LandingZone,
    report: Report = lambda _done, _total: None,
) -> tuple[RawFile, Published]:
    """Fetches a month's published file; only a complete file replaces the one in the landing zone.

    Raises:
        PermanentStoreError: the month is not published, or the published file is not a trip file.
        TransientStoreError: the source cannot be reached; the received part is kept for the
            next attempt.
    """
    with landing.raw_partial(month) as partial:
        try:
            published = source.fetch(month, partial, report)
        except BaseException:
            if not validator_of(partial, published_at=None):
                forget(partial)  # It cannot be resumed.
            raise
        try:
            _verify(partial, month)
        except TripFileError as error:
            forget(partial)
            raise PermanentStoreError(
                f"{month}: {published.address}: {_rename(error, partial, published.address)}; the "
                "landing zone is unchanged"
            ) from error
        # Before the file is renamed: afterwards the name belongs to the next writer.
        notes_of(partial).unlink(missing_ok=True)
        raw = landing.publish_raw(month, published.ending, partial, published.address)
    return raw, published


def _verify(partial: Path, month: TripMonth) -> None:
    """Refuses a file that is not a complete trip file of the color, such as an HTML page."""
    with closing(open_trip_file(partial, month.color)) as reader:
        if not any(reader.parse(raw).rows_read for raw in reader.raw_blocks()):
            raise TripFileError(
                f"{partial.name} has a header but no rows: check the source, or try again later"
            )
    with partial.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return
        file.seek(0)
        _verify_gzip(file, partial)


def _verify_gzip(file: Any, partial: Path) -> None:
    from isal import igzip, isal_zlib

    try:
        with igzip.open(file) as unpacked:
            while unpacked.read(CHUNK_BYTES):
                pass
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]
        raise TripFileError(
            f"{partial.name} is a damaged or truncated gzip file ({error})"
        ) from error


def _rename(error: TripFileError, partial: Path, address: SourceAddress) -> str:
    return str(error).replace(partial.name, address.path.rsplit("/", 1)[-1])
