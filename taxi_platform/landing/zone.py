"""The landing zone: the published files, the cleaned Parquet and the rejected rows, on local disk.

What a landed file is, is said in ``files``; how one appears whole or not at all, in
``atomic_files``; what the rows mean is decided in ``taxi_platform.trips``.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.atomic_files import (
    PARTIAL,
    atomic_paths,
    disk_errors,
    locked,
    publish,
    unlocked,
)
from taxi_platform.landing.expectations import EXPECTATIONS, Severity
from taxi_platform.landing.files import (
    AcceptedVersion,
    RawFile,
    Refusal,
    TripParquet,
    note_source,
    refusal_metadata,
    sha256_once,
    summary_metadata,
)
from taxi_platform.landing.parquet_writer import parquet_file
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.publications import RAW_ENDINGS
from taxi_platform.sources.unfinished_downloads import notes_of
from taxi_platform.trips.blocks import LINE_NUMBER, RAW_TEXT, REJECT_REASONS, reject_schema
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema


@dataclass(frozen=True)
class MonthVersions:
    """A month as its checks see it.

    Attributes:
        latest: the version that was cleaned last, in its place or kept apart.
        accepted: the version that is in place, if the latest is kept apart and there is one.
    """

    latest: TripParquet
    accepted: AcceptedVersion | None

    @property
    def month(self) -> TripMonth:
        """Color and month."""
        return self.latest.month


_WRITTEN = ("raw", "cleaned", "rejected")
"""The folders in which runs write unfinished files."""

_PARTIAL_NAME = re.compile(
    rf"\.(?P<color>[a-z0-9]+)_tripdata_[0-9]{{4}}-[0-9]{{2}}(?:\.parquet)?{re.escape(PARTIAL)}"
)


class LandingZone:
    """The files of every month below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def raw_path(self, month: TripMonth, ending: str) -> Path:
        """Where the published file of a month lies; ``ending`` is one of ``RAW_ENDINGS``."""
        return self.root / "raw" / month.color / f"{month.stem}{ending}"

    def cleaned_path(self, month: TripMonth) -> Path:
        """Where the cleaned Parquet of a month lies."""
        return self.root / "cleaned" / month.color / f"{month.stem}.parquet"

    def rejected_path(self, month: TripMonth) -> Path:
        """Where the rejected rows of a month lie."""
        return self.root / "rejected" / month.color / f"{month.stem}.parquet"

    def refused_path(self, month: TripMonth) -> Path:
        """Where the rejected rows of a month's file lie that was refused last."""
        return self.root / "refused" / month.color / f"{month.stem}.parquet"

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
        """
        target = self.raw_path(month, ending)
        if published_at:
            # First, so that a full disk leaves the earlier file in its place.
            note_source(target, sha256_once(partial), published_at)
        publish(partial, target)
        for other in RAW_ENDINGS:
            if other != ending:
                self.raw_path(month, other).unlink(missing_ok=True)
        return self.find_raw(month)

    def find_raw(self, month: TripMonth) -> RawFile:
        """The landed file of a month.

        Raises:
            PermanentStoreError: there is none.
        """
        there = [p for e in RAW_ENDINGS if (p := self.raw_path(month, e)).exists()]
        if there:
            # A run killed as it changed from one format to another may have left both.
            return RawFile.at(month, max(there, key=lambda p: p.stat().st_mtime_ns))
        raise PermanentStoreError(
            f"{month}: no published file in {self.root / 'raw' / month.color}: "
            "materialize raw_trips for this partition first"
        )

    def find_cleaned(self, month: TripMonth) -> TripParquet:
        """The cleaned Parquet of a month.

        Raises:
            PermanentStoreError: there is none, or it was not written by this platform.
        """
        path = self.cleaned_path(month)
        try:
            return TripParquet.at(month, path, self.rejected_path(month))
        except FileNotFoundError:
            raise PermanentStoreError(
                f"{month}: no cleaned file at {path}: materialize cleaned_trips for this "
                "partition first"
            ) from None
        except (pa.ArrowException, KeyError, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {path} is not a cleaned file of this platform ({error}): materialize "
                "cleaned_trips for this partition again"
            ) from error

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
        targets = self.rejected_path(month), self.cleaned_path(month)
        apart = self._unaccepted_path(month, "rejected"), self._unaccepted_path(month, "cleaned")

        def choose() -> Sequence[Path]:
            new = TripParquet.at(month, kept_partial, rejected_partial)
            if self._may_take_its_place(new):
                return targets
            for path in apart:
                path.parent.mkdir(parents=True, exist_ok=True)
            return apart

        with (
            closing(trips),
            disk_errors(month),
            atomic_paths(*targets, choose=choose) as (rejected_partial, kept_partial),
        ):
            for path in apart:
                # It is of no interest any more: the next version is judged anew.
                path.unlink(missing_ok=True)
            try:
                _write(trips, kept_partial, rejected_partial, report)
            except TripFileError:
                self.refused_path(month).parent.mkdir(parents=True, exist_ok=True)
                publish(rejected_partial, self.refused_path(month))
                raise
        self.refused_path(month).unlink(missing_ok=True)
        return self.find_unaccepted(month) or self.find_cleaned(month)

    def _unaccepted_path(self, month: TripMonth, what: str) -> Path:
        return self.root / "unaccepted" / what / month.color / f"{month.stem}.parquet"

    def _may_take_its_place(self, new: TripParquet) -> bool:
        """Whether a version passes all that blocks, by itself and beside the loaded one."""
        if not all(e.judge(new).holds for e in EXPECTATIONS if e.severity is Severity.BLOCKING):
            return False
        accepted = self._accepted(new.month)
        return accepted is None or not new.differences_from(accepted)

    def _accepted(self, month: TripMonth) -> AcceptedVersion | None:
        """What is known of the version in place, whose file of kept rows may have been deleted."""
        for path in (self.cleaned_path(month), self.rejected_path(month)):
            try:
                return AcceptedVersion.in_footer(path)
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
        """The latest version of a month, if it may not take the place of the loaded one."""
        rejected, cleaned = (self._unaccepted_path(month, w) for w in ("rejected", "cleaned"))
        try:
            return TripParquet.at(month, cleaned, rejected)
        except (pa.ArrowException, KeyError, OSError):
            return None

    def find_versions(self, month: TripMonth) -> MonthVersions:
        """The version of a month that was cleaned last, and the one that it was compared with.

        Raises:
            PermanentStoreError: the month has not been cleaned.
        """
        if unaccepted := self.find_unaccepted(month):
            return MonthVersions(unaccepted, self._accepted(month))
        return MonthVersions(self.find_cleaned(month), None)

    def find_refusal(self, month: TripMonth) -> Refusal | None:
        """The refusal of the month's last file; None if that was loaded, or there was none.

        Raises:
            PermanentStoreError: it is damaged.
        """
        path = self.refused_path(month)
        try:
            return Refusal.at(month, path)
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
        path = self.refused_path(month) if refused else self.rejected_path(month)
        found: dict[str, list[dict[str, Any]]] = {}
        try:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(4096):
                    for row in batch.to_pylist():
                        rows = found.setdefault(row[REJECT_REASONS][0], [])
                        if len(rows) < most:
                            rows.append(_example(row))
        except (pa.ArrowException, OSError) as error:
            raise PermanentStoreError(
                f"{month}: {path} cannot be read ({error}): materialize cleaned_trips for this "
                "partition again"
            ) from error
        return found

    def abandoned(self) -> Iterator[Path]:
        """The unfinished files that killed runs left; the next run of their month replaces them."""
        return (path for path in unlocked(self._partials()) if not _is_resumable(path))

    def resumable(self) -> Iterator[Path]:
        """The downloads that broke off; the next run of their month takes them up."""
        return filter(_is_resumable, unlocked(self._partials()))

    def _partials(self) -> list[Path]:
        """The unfinished files that runs make, by folder and name; others' are not looked at."""
        found = [path for where in _WRITTEN for path in (self.root / where).glob(f"*/.*{PARTIAL}")]
        return sorted(
            path
            for path in found
            if (match := _PARTIAL_NAME.fullmatch(path.name))
            and match["color"] == path.parent.name
            and path.is_file()
            and not path.is_symlink()
        )

    @contextmanager
    def raw_partial(self, month: TripMonth) -> Iterator[Path]:
        """The unfinished download of a month, held by one process at a time.

        It outlives a broken download, so that the next attempt can resume it.
        """
        path = self.root / "raw" / month.color / f".{month.stem}{PARTIAL}"
        with disk_errors(month), locked(path):
            yield path


def _write(
    trips: CleanedTrips, kept_path: Path, rejected_path: Path, report: Callable[[int], None]
) -> None:
    """Writes both files; if the trips are refused, that of the rejected rows says so."""
    color = trips.month.color
    with (
        parquet_file(kept_path, trip_schema(color), color) as kept,
        parquet_file(rejected_path, reject_schema(color), color) as rejected,
        closing(iter(trips)) as batches,
    ):
        try:
            for batch in batches:
                kept.write(batch.kept)
                rejected.write(batch.rejected)
                report(trips.summary.rows_read)
        except TripFileError as error:
            rejected.finish(refusal_metadata(trips, str(error)))
            raise
        # Both say what the version is like: the kept rows may be deleted once they are loaded.
        kept.finish(summary_metadata(trips))
        rejected.finish(summary_metadata(trips))


def _is_resumable(partial: Path) -> bool:
    return notes_of(partial).exists()


def _example(row: dict[str, Any]) -> dict[str, Any]:
    reasons, line, text = row.pop(REJECT_REASONS), row.pop(LINE_NUMBER), row.pop(RAW_TEXT)
    read = ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
    return {"line_number": line, "reasons": reasons, "text": text or read}
