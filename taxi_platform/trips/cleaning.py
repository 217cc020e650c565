"""Cleans a published file in one pass: yields batches of kept and rejected rows, with statistics.

Rows read = rows kept + rows rejected, always. A few threads parse and clean blocks in parallel
(Arrow releases the interpreter's lock); the batches keep the file's order. Only a fixed number of
blocks is in memory at a time, whatever the size of the file. ``landing`` writes the rows to disk.
"""

from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import FALSE, booleans_of, chosen_texts, scalar, texts
from taxi_platform.trips.blocks import (
    LINE_NUMBER,
    UNPARSEABLE,
    BlockReader,
    FirstFailure,
    ParsedBlock,
    RowSet,
    reject_schema,
)
from taxi_platform.trips.duplicates import DuplicateCounter, PartedHashes
from taxi_platform.trips.eras import lost_columns
from taxi_platform.trips.errors import TooManyRejectedError, TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import About, Notes, listed
from taxi_platform.trips.options import PASSENGER_COUNT, CleaningOptions
from taxi_platform.trips.ordered_map import cpu_threads, map_in_order
from taxi_platform.trips.reader import infer_month, open_trip_file
from taxi_platform.trips.refusals import times_without_minutes, too_many_rejected
from taxi_platform.trips.row_hashes import row_hashes
from taxi_platform.trips.rules import Rule, RuleContext
from taxi_platform.trips.schema import ColumnMap, trip_schema
from taxi_platform.trips.statistics import TripStatistics, cents_of
from taxi_platform.trips.summary import CleaningSummary
from taxi_platform.trips.trip_type import TripType
from taxi_platform.trips.types import trip_type

__all__ = [
    "CleanedBatch",
    "CleanedTrips",
    "CleaningOptions",
    "CleaningSummary",
    "clean_trips",
]


REJECTED_AT_A_TIME = 1 << 13
"""Rejected rows are few in a block: counted block by block they would take ten times as long."""


@dataclass(frozen=True)
class CleanedBatch:
    """The kept and rejected rows of one block.

    Attributes:
        kept: rows of ``trip_schema``.
        rejected: rows of ``reject_schema``.
        rejected_by_reason: number of rejected rows by each row's first reason.
        statistics: statistics of the kept rows.
        hashes: hashes of the kept rows, to find duplicates.
        notes: warnings about the rows.
        first_failure: the first value or line that could not be parsed.
    """

    kept: pa.RecordBatch
    rejected: pa.RecordBatch
    rejected_by_reason: Counter[str]
    statistics: TripStatistics
    hashes: PartedHashes
    notes: Notes
    first_failure: FirstFailure | None


class CleanedTrips:
    """A published file that is cleaned while it is iterated. Can be iterated once.

    Attributes:
        month: the color and month of the file.
        columns: how the file's header was mapped.
        options: the cleaning options.
        source_sha256: checksum of the published file, if known.
        source: address of the published file, if known.
        nameless_fields: fields of a CSV that have values and no name, if a column of the month is
            missing. If its name is what the header lacks, the columns after it are shifted.
        summary: counts, statistics and warnings; complete when the iteration has ended.
    """

    def __init__(
        self,
        reader: BlockReader,
        month: TripMonth,
        options: CleaningOptions,
        name: str,
        source_sha256: str | None,
        source: str | None = None,
    ) -> None:
        self.month = month
        self.source_sha256 = source_sha256
        self.source = source
        self.columns: ColumnMap = reader.columns
        self.summary = CleaningSummary(remarks=_remarks(reader, month))
        lost = lost_columns(reader.columns, month, options.missing_columns)
        self.nameless_fields = reader.columns.surplus if lost else ()
        self._reader = reader
        self.options = options
        self._name = name
        self._rejected: list[pa.RecordBatch] = []
        """Amounts and times of rejected rows that have not been counted yet."""

    def close(self) -> None:
        """Closes the published file. Call it if you do not iterate to the end."""
        self._reader.close()

    def __iter__(self) -> Generator[CleanedBatch, None, None]:
        """As ``batches``, in threads of its own."""
        with cpu_threads() as pool:
            yield from self.batches(pool)

    def batches(self, pool: ThreadPoolExecutor) -> Generator[CleanedBatch, None, None]:
        """Yields the rows block by block, in the file's order.

        Args:
            pool: whose threads read and clean.

        Raises:
            TripFileError: the file is damaged or has no rows, or too many rows were rejected.
        """
        cleaner = _Cleaner(self.month, self.options)
        reader = self._reader
        with closing(DuplicateCounter()) as duplicates:
            try:
                cleaned = map_in_order(
                    pool, lambda raw: cleaner.clean(reader.parse(raw)), reader.raw_blocks()
                )
                with closing(cleaned):
                    for batch in cleaned:
                        self._count(batch)
                        duplicates.add(batch.hashes)
                        yield batch
            finally:
                reader.close()
                self._count_rejected()
            self.summary.duplicate_rows = duplicates.count(pool)
        self._refuse_if_bad()

    def _count(self, batch: CleanedBatch) -> None:
        summary = self.summary
        summary.rows_read += batch.kept.num_rows + batch.rejected.num_rows
        summary.rejected_by_reason.update(batch.rejected_by_reason)
        summary.statistics.add(batch.statistics)
        summary.notes.update(batch.notes)
        summary.first_failure = summary.first_failure or batch.first_failure
        if batch.rejected.num_rows:
            kind = trip_type(self.month.color)
            # Without the texts, which may be long.
            self._rejected.append(batch.rejected.select([*kind.amounts, kind.time_column]))
            if sum(rows.num_rows for rows in self._rejected) >= REJECTED_AT_A_TIME:
                self._count_rejected()

    def _count_rejected(self) -> None:
        if not self._rejected:
            return
        rows = pa.Table.from_batches(self._rejected).combine_chunks().to_batches()[0]
        self._rejected = []
        *amounts, time_column = rows.schema.names
        for name in amounts:
            self.summary.cents_rejected[name] += cents_of(rows[name])
        self.summary.rejected_months.update(_months(rows[time_column]))

    def _refuse_if_bad(self) -> None:
        if self.summary.rows_read == 0:
            raise TripFileError(f"{self._name} has a header but no rows")
        if refusal := times_without_minutes(self._name, self.summary, self.options):
            raise TripFileError(refusal)
        if self.summary.rejected_share > self.options.max_rejected_share:
            raise TooManyRejectedError(
                too_many_rejected(self._name, self.month, self.summary, self.options)
            )


def clean_trips(
    path: Path,
    month: TripMonth | None = None,
    options: CleaningOptions | None = None,
    *,
    source_sha256: str | None = None,
    source: str | None = None,
) -> CleanedTrips:
    """Opens a published file, which is cleaned when the result is iterated.

    Args:
        path: CSV, gzipped CSV or Parquet.
        month: the file's color and month; by default detected from the file.
        options: cleaning options; by default those of ``CleaningOptions``.
        source_sha256: the file's checksum, if known; recorded in the result.
        source: where the file was published, if known; recorded in the result.

    Raises:
        TripFileError: the file is damaged, or is not a trip file of that color.
        ValueError: an option does not apply to the trip type.
    """
    options = options or CleaningOptions()
    reader = open_trip_file(path, month.color if month else None, utc_times=options.utc_times)
    try:
        options.check(trip_type(reader.color))
        month = month or infer_month(path, reader)
        lost = lost_columns(reader.columns, month, options.missing_columns)
        if lost and not reader.columns.surplus:
            raise TripFileError(f"{path.name}: {lost.refusal()}")
    except BaseException:
        reader.close()
        raise
    return CleanedTrips(reader, month, options, path.name, source_sha256, source)


_UNPARSEABLE = texts([UNPARSEABLE])


class _Cleaner:
    """Applies the rules to parsed blocks. Has no mutable state, so threads can share it."""

    def __init__(self, month: TripMonth, options: CleaningOptions) -> None:
        self._schema = trip_schema(month.color)
        self._reject_schema = reject_schema(month.color)
        kind = trip_type(month.color)
        self._color = month.color
        self._rules: tuple[Rule, ...] = kind.rules_named(options.rules)
        self._reasons = texts([rule.reason for rule in self._rules])
        self._context = RuleContext(
            month.month,
            month.following,
            options.days_outside_month,
            tuple(c.name for c in kind.columns if c.never_null and c.name != kind.time_column),
        )
        self._domains = {c.name: c.domain for c in kind.columns if c.domain}
        self._fills = _fills(kind, options)
        self._file_month = scalar(month.month.isoformat(), pa.date32())
        self._none_rejected = pa.RecordBatch.from_arrays(
            [pa.nulls(0, field.type) for field in self._reject_schema], schema=self._reject_schema
        )

    def clean(self, block: ParsedBlock) -> CleanedBatch:
        counts: Counter[str] = Counter()
        rejected: list[pa.RecordBatch] = []
        if block.unparseable is not None:
            unparseable = np.ones((len(block.unparseable), 1), dtype=np.bool_)
            rejected.append(self._reject(block.unparseable, unparseable, _UNPARSEABLE))
            counts[UNPARSEABLE] = len(block.unparseable)
        parsed = block.parsed
        context = self._context_of(block)
        broken = [pc.fill_null(rule.breaks(parsed.rows, context), FALSE) for rule in self._rules]
        keep = parsed.rows
        any_broken = _any(broken, len(parsed))
        if any_broken.true_count:
            positions = pc.indices_nonzero(any_broken).cast(pa.int64())
            hits = np.column_stack([booleans_of(mask.take(positions)) for mask in broken])
            rejected.append(self._reject(_take(parsed, positions), hits, self._reasons))
            counts.update(self._first_reasons(hits))
            keep = _filtered(parsed.rows, pc.invert(any_broken))
        kept = self._finish(keep)
        return CleanedBatch(
            kept,
            self._concat(rejected),
            counts,
            TripStatistics.of(kept, self._color),
            PartedHashes.of(row_hashes(keep)),
            block.notes,
            block.first_failure,
        )

    def _context_of(self, block: ParsedBlock) -> RuleContext:
        """The context of the rules, with the domains that this block's texts violate."""
        if not (unknown := block.notes.counts(About.UNKNOWN_TEXT)):
            return self._context
        domains = tuple((n, domain) for n, domain in self._domains.items() if n in unknown)
        return replace(self._context, domains=domains)

    def _first_reasons(self, hits: npt.NDArray[np.bool_]) -> Counter[str]:
        counts = np.bincount(hits.argmax(axis=1), minlength=len(self._rules)).tolist()
        return +Counter({r.reason: n for r, n in zip(self._rules, counts, strict=True)})

    def _finish(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        arrays = list(rows.columns)
        for at, value in self._fills:
            arrays[at] = pc.fill_null(arrays[at], value)
        arrays.append(pa.repeat(self._file_month, rows.num_rows))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _reject(
        self, rows: RowSet, hits: npt.NDArray[np.bool_], reasons: pa.StringArray
    ) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [
                *rows.rows.columns,
                pa.repeat(self._file_month, len(rows)),
                chosen_texts(hits, reasons),
                rows.line_numbers,
                rows.raw_text(pa.arange(0, len(rows))),
            ],
            schema=self._reject_schema,
        )

    def _concat(self, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
        if not batches:
            return self._none_rejected
        if len(batches) == 1:
            return batches[0]
        # In file order, so that the reject file does not depend on the block size.
        return pa.concat_batches(batches).sort_by(LINE_NUMBER)


def _remarks(reader: BlockReader, month: TripMonth) -> list[str]:
    found = []
    columns = reader.columns
    if unknown := [name for name in columns.unknown if name not in columns.surplus]:
        found.append(f"{len(unknown)} unknown columns were not read: {listed(unknown)}")
    if lost := lost_columns(columns, month):
        found.append(lost.remark())
    return found


def _months(times: pa.Array) -> Counter[date]:
    counted = pc.value_counts(pc.floor_temporal(times.drop_null(), unit="month"))
    return Counter({c["values"].as_py().date(): c["counts"].as_py() for c in counted})


def _fills(kind: TripType, options: CleaningOptions) -> list[tuple[int, pa.Scalar]]:
    """The columns in which missing values are filled, by position, and the values."""
    return [
        (at, scalar(kind.filled[column.name], column.type))
        for at, column in enumerate(kind.columns)
        if column.name in kind.filled
        and not (column.name == PASSENGER_COUNT and options.missing_passenger_count == "keep")
    ]


def _any(masks: list[pa.BooleanArray], length: int) -> pa.BooleanArray:
    result = pa.repeat(FALSE, length)
    for mask in masks:
        result = pc.or_(result, mask)
    return result


def _filtered(rows: pa.RecordBatch, keep: pa.BooleanArray) -> pa.RecordBatch:
    """The rows to keep. An all-null column is sliced instead of filtered, which is free."""
    length = keep.true_count
    return pa.RecordBatch.from_arrays(
        [
            column[:length] if column.null_count == len(column) else column.filter(keep)
            for column in rows.columns
        ],
        schema=rows.schema,
    )


def _take(rows: RowSet, positions: pa.Int64Array) -> RowSet:
    return RowSet(
        rows.rows.take(positions),
        rows.line_numbers.take(positions),
        lambda indices: rows.raw_text(positions.take(indices)),
    )
