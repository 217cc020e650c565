"""The landing zone: the published files, the cleaned Parquet and the rejected rows.

Where they are kept is up to ``storage``. What a landed file is, is said in ``files``; how one
appears whole or not at all, in ``atomic_files``; what the rows mean is decided in
``taxi_platform.trips``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import (
    PARTIAL,
    atomic_paths,
    disk_errors,
    locked,
    publish,
)
from taxi_platform.landing.cleaned_writer import write_both
from taxi_platform.landing.expectations import EXPECTATIONS, Severity
from taxi_platform.landing.files import (
    MonthVersions,
    RawFile,
    TripParquet,
    require_version,
)
from taxi_platform.landing.footers import AcceptedVersion, Refusal
from taxi_platform.landing.names import (
    CLEANED,
    REFUSED,
    REJECTED,
    file_name,
    name_apart,
    raw_name,
)
from taxi_platform.landing.rejects import reject_examples
from taxi_platform.landing.source_notes import note_source
from taxi_platform.landing.storage import FolderStorage, Landed, LandingStorage
from taxi_platform.landing.versions import (
    RAW,
    Expected,
    missing_version,
    sha256_once,
)
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.publications import RAW_ENDINGS
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth


class LandingZone:
    """The files of every month.

    Args:
        storage: where they are kept; a path is a folder of this host.
    """

    def __init__(self, storage: LandingStorage | Path) -> None:
        self._storage = FolderStorage(storage) if isinstance(storage, Path) else storage
        self.root = self._storage.root

    def raw_path(self, month: TripMonth, ending: str) -> Path:
        """Where the published file of a month lies; ``ending`` is one of ``RAW_ENDINGS``."""
        return self.root / raw_name(month, ending)

    def cleaned_path(self, month: TripMonth) -> Path:
        """Where the cleaned Parquet of a month lies."""
        return self.root / file_name(CLEANED, month)

    def rejected_path(self, month: TripMonth) -> Path:
        """Where the rejected rows of a month lie."""
        return self.root / file_name(REJECTED, month)

    def refused_path(self, month: TripMonth) -> Path:
        """Where the rejected rows of a month's file lie that was refused last."""
        return self.root / file_name(REFUSED, month)

    def publish_raw(
        self,
        month: TripMonth,
        ending: str,
        partial: Path,
        published_at: SourceAddress | None = None,
    ) -> RawFile:
        """Puts a downloaded, verified file in its place, instead of any earlier one.

        Args:
            month: color and month.
            ending: one of ``RAW_ENDINGS``.
            partial: the file.
            published_at: where it was published.

        Raises:
            StoreError: it cannot be stored.
        """
        target = self.raw_path(month, ending)
        source = str(published_at) if published_at else None
        if source:
            # First, so that a full disk leaves the earlier file in its place.
            note_source(target, sha256_once(partial), source)
        publish(partial, target)
        stored = self._storage.keep(month, raw_name(month, ending), source)
        others = [raw_name(month, other) for other in RAW_ENDINGS if other != ending]
        self._storage.remove(month, others)
        return RawFile.at(month, Landed(target, stored))

    def find_raw(self, month: TripMonth, expected: Expected | None = None) -> RawFile:
        """The landed file of a month.

        Args:
            month: color and month.
            expected: its recorded version; None if none was recorded.

        Raises:
            PermanentStoreError: there is none, or it is another version.
            TransientStoreError: it cannot be reached.
        """
        names = [raw_name(month, ending) for ending in RAW_ENDINGS]
        try:
            raw = RawFile.at(month, self._storage.find(month, names, expected))
        except FileNotFoundError as error:
            where = f"published file in {Path(error.args[-1]).parent}"
            raise PermanentStoreError(
                missing_version(month, "raw_trips", expected, where=where)
            ) from None
        require_version(raw, expected, "raw_trips")
        return raw

    def find_cleaned(self, month: TripMonth, expected: Expected | None = None) -> TripParquet:
        """The cleaned Parquet of a month.

        Args:
            month: color and month.
            expected: its recorded version; None if none was recorded.

        Raises:
            PermanentStoreError: there is none, it is another version, or it was not written by this
                platform.
            TransientStoreError: it cannot be reached.
        """
        path = self.cleaned_path(month)
        try:
            trips = self._find(
                month, file_name(CLEANED, month), file_name(REJECTED, month), expected
            )
            require_version(trips, expected, "cleaned_trips")
        except FileNotFoundError as error:
            where = f"cleaned file at {error.args[-1]}"
            raise PermanentStoreError(
                missing_version(month, "cleaned_trips", expected, where=where)
            ) from None
        except (pa.ArrowException, KeyError, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {path} is not a cleaned file of this platform ({error}): materialize "
                "cleaned_trips for this partition again"
            ) from error
        return trips

    def _find(
        self, month: TripMonth, kept: str, rejected: str, expected: Expected | None = None
    ) -> TripParquet:
        landed = self._storage.find(month, [kept], expected)
        return TripParquet.at(month, landed, self.root / rejected)

    def write_cleaned(
        self,
        trips: CleanedTrips,
        report: Callable[[int], None] = lambda _: None,
    ) -> TripParquet:
        """Writes a month's kept and rejected rows, replacing both files only if all went well.

        The rejected rows of a file that is refused are written to ``refused_path``, where they stay
        until another file is refused or the month is loaded. A version that fails an expectation,
        or differs from the one in place beyond its limits and is not accepted, is kept apart and
        replaces nothing: ``find_unaccepted`` gives it until the month is cleaned again. So no store
        can be loaded from it, whichever asset is materialized.

        Args:
            trips: the stream of cleaned batches; consumed, and closed in any case.
            report: called with the rows read so far, after each block.

        Returns:
            The month's new version, in its place or apart.

        Raises:
            TripFileError: the published file is damaged or too many rows were rejected.
            PermanentStoreError: the disk is full or not writable.
        """
        month = trips.month
        # The kept rows last: what they say of the rejected ones is then true.
        in_place = file_name(REJECTED, month), file_name(CLEANED, month)
        apart = name_apart(REJECTED, month), name_apart(CLEANED, month)
        chosen = in_place

        def choose() -> Sequence[Path]:
            nonlocal chosen
            new = TripParquet.at(month, Landed(kept_partial), rejected_partial)
            chosen = in_place if self._may_take_its_place(new) else apart
            return self._paths(chosen)

        with (
            closing(trips),
            disk_errors(month),
            atomic_paths(*self._paths(in_place), choose=choose) as (rejected_partial, kept_partial),
        ):
            # It is of no interest any more: the next version is judged anew.
            self._storage.remove(month, apart)
            try:
                write_both(trips, kept_partial, rejected_partial, report)
            except TripFileError:
                (refused,) = self._paths([file_name(REFUSED, month)])
                publish(rejected_partial, refused)
                self._storage.keep(month, file_name(REFUSED, month))
                raise
        rejected, kept = chosen
        self._storage.keep(month, rejected)
        stored = self._storage.keep(month, kept)
        self._storage.remove(month, [file_name(REFUSED, month)])
        return TripParquet.at(month, Landed(self.root / kept, stored), self.root / rejected)

    def _paths(self, names: Sequence[str]) -> list[Path]:
        """The paths of files that will be written."""
        paths = [self.root / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        return paths

    def is_apart(self, trips: TripParquet) -> bool:
        """Whether a version may not take the month's place, and is kept apart."""
        return trips.path != self.cleaned_path(trips.month)

    def _may_take_its_place(self, new: TripParquet) -> bool:
        """Whether a version passes all that blocks, by itself and beside the loaded one."""
        if not all(e.judge(new).holds for e in EXPECTATIONS if e.severity is Severity.BLOCKING):
            return False
        accepted = self.find_accepted(new.month)
        return accepted is None or not new.differences_from(accepted)

    def find_accepted(self, month: TripMonth) -> AcceptedVersion | None:
        """What is known of the version in place, whose file of kept rows may have been deleted.

        Raises:
            TransientStoreError: it cannot be reached.
        """
        # Both say it; the file of rejected rows is the smaller one.
        for what in (REJECTED, CLEANED):
            try:
                return AcceptedVersion.in_footer(
                    self._storage.find(month, [file_name(what, month)]).path
                )
            except (pa.ArrowException, KeyError, OSError):
                continue
        return None

    def find_cleaned_or_none(self, month: TripMonth) -> TripParquet | None:
        """The cleaned Parquet of a month, None if there is none that can be read."""
        try:
            return self.find_cleaned(month)
        except PermanentStoreError:
            return None

    def find_unaccepted(self, month: TripMonth) -> TripParquet | None:
        """The latest version of a month, if it may not take the place of the loaded one.

        Raises:
            TransientStoreError: it cannot be reached.
        """
        try:
            return self._find(month, name_apart(CLEANED, month), name_apart(REJECTED, month))
        except (pa.ArrowException, KeyError, OSError):
            return None

    def find_versions(self, month: TripMonth, expected: Expected | None = None) -> MonthVersions:
        """The version of a month that was cleaned last, and the one that it was compared with.

        Args:
            month: color and month.
            expected: the recorded version of what was cleaned last; None if none was recorded.

        Raises:
            PermanentStoreError: the month has not been cleaned, or what was cleaned last is another
                version.
        """
        latest, accepted = self.find_unaccepted(month), None
        if latest and (expected is None or latest.version == expected.content):
            accepted = self.find_accepted(month)
        else:
            latest = self.find_cleaned(month, expected)
        with suppress(FileNotFoundError):  # a check says so
            self._storage.find(month, [str(latest.rejects_path.relative_to(self.root))])
        return MonthVersions(latest, accepted)

    def find_refusal(self, month: TripMonth) -> Refusal | None:
        """The refusal of the month's last file; None if that was loaded, or there was none.

        Raises:
            PermanentStoreError: it is damaged.
        """
        path = self.refused_path(month)
        try:
            return Refusal.at(month, self._storage.find(month, [file_name(REFUSED, month)]).path)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, KeyError, OSError) as error:
            raise PermanentStoreError(f"{month}: {path} cannot be read ({error})") from error

    def reject_examples(
        self, month: TripMonth, most: int, *, refused: bool = False
    ) -> dict[str, list[dict[str, Any]]]:
        """Some rejected rows of a month by their first reason.

        Args:
            month: color and month.
            most: rows of each reason.
            refused: those of its file that was refused last, not of the one that is loaded.

        Returns:
            For each reason, rows as ``line_number``, ``reasons`` and ``text``: the published
            line, or where there is none what could be read of the row.

        Raises:
            PermanentStoreError: the file of rejected rows is not there or damaged.
        """
        name = file_name(REFUSED if refused else REJECTED, month)
        try:
            return reject_examples(self._storage.find(month, [name]).path, most)
        except (pa.ArrowException, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {self.root / name} cannot be read ({error}): materialize cleaned_trips "
                "for this partition again"
            ) from error

    @contextmanager
    def raw_partial(self, month: TripMonth) -> Iterator[Path]:
        """The unfinished download of a month, held by one process at a time.

        It outlives a broken download, so that the next attempt can resume it.
        """
        path = self.root / RAW / month.color / f".{month.stem}{PARTIAL}"
        with disk_errors(month), locked(path):
            yield path
