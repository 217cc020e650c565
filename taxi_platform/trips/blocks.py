"""A block of rows on its way from a published file to a canonical batch.

The two shapes that every format's reader shares. How a format is read does not belong here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import integers
from taxi_platform.trips.columns import Column
from taxi_platform.trips.notes import Notes
from taxi_platform.trips.schema import ColumnMap, trip_schema
from taxi_platform.trips.types import trip_type

REJECT_REASONS = "reject_reasons"
LINE_NUMBER = "line_number"
RAW_TEXT = "raw_text"

BLOCK_ROWS = 1 << 15
"""The most rows of a block: enough for its overhead to be lost, few enough for flat memory."""

UNPARSEABLE = "unparseable"
"""The reason of a row that could not be read at all, before any rule saw it."""


def reject_schema(color: str) -> pa.Schema:
    """The schema of rejected rows: the canonical columns where they could be read, and why not.

    ``line_number`` counts from 1 in the published file, its header included (in Parquet: the
    row's number from 1). ``raw_text`` is the row as published (in Parquet: as JSON, and only
    where the canonical columns do not hold all of it).
    """
    return pa.schema(
        [
            *trip_schema(color),
            pa.field(REJECT_REASONS, pa.list_(pa.string())),
            pa.field(LINE_NUMBER, pa.int64()),
            pa.field(RAW_TEXT, pa.string()),
        ]
    )


@dataclass(frozen=True)
class RowSet:
    """Canonical columns of some rows, with where each row stood.

    Attributes:
        rows: the canonical columns, ``data_file_month`` excepted.
        line_numbers: int64, one a row.
        raw_text: gives the published text of the rows at the given positions.
    """

    rows: pa.RecordBatch
    line_numbers: pa.Int64Array
    raw_text: Callable[[Sequence[int]], list[str | None]]

    def __len__(self) -> int:
        return int(self.rows.num_rows)


@dataclass(frozen=True)
class FirstFailure:
    """The first thing in a file that could not be read.

    Attributes:
        line_number: where, as rejected rows have it.
        what: what was found, and why it cannot be read; part of a sentence.
    """

    line_number: int
    what: str


@dataclass(frozen=True)
class ParsedBlock:
    """What became of the rows of one block: all of them are in one set or the other.

    Attributes:
        parsed: the rows that could be read.
        unparseable: those that could not.
        notes: what there is to say of the rows.
        first_failure: of the rows that could not be read.
    """

    parsed: RowSet
    unparseable: RowSet | None = None
    notes: Notes = field(default_factory=Notes)
    first_failure: FirstFailure | None = None

    @property
    def rows_read(self) -> int:
        """Rows that the block held."""
        return len(self.parsed) + (len(self.unparseable) if self.unparseable else 0)


class BlockReader(Protocol):
    """A published file, opened and its header understood.

    ``raw_blocks`` must be consumed by one thread; ``parse`` may be called by several at once,
    in any order, and its result depends on the block alone.
    """

    color: str
    columns: ColumnMap

    def raw_blocks(self) -> Iterator[Any]:
        """The file's rows, in order, in blocks of bounded size."""
        ...

    def parse(self, raw: Any) -> ParsedBlock:
        """Turns a block into canonical columns."""
        ...

    def close(self) -> None:
        """Releases the file."""
        ...


def parsed_columns(color: str) -> tuple[Column, ...]:
    """The columns that come from the file: all but the last, ``data_file_month``."""
    return trip_type(color).columns


def canonical_batch(color: str, arrays: dict[str, pa.Array], length: int) -> pa.RecordBatch:
    """Puts arrays by canonical name in the canonical order, nulls where the file has no column."""
    ordered = parsed_columns(color)
    return pa.RecordBatch.from_arrays(
        [arrays[c.name] if c.name in arrays else _nulls(c.type, length) for c in ordered],
        names=[c.name for c in ordered],
    )


def _nulls(type_: pa.DataType, length: int) -> pa.Array:
    """Nulls, cut from one piece that all blocks share: zeros, too, take time to write."""
    shared = _many_nulls(type_)
    return shared[:length] if length <= len(shared) else pa.nulls(length, type_)


@cache
def _many_nulls(type_: pa.DataType) -> pa.Array:
    return pa.nulls(BLOCK_ROWS, type_)


def split_block(
    rows: pa.RecordBatch,
    line_numbers: pa.Int64Array,
    bad: pa.BooleanArray,
    text: Callable[[Sequence[int]], list[str | None]],
) -> ParsedBlock:
    """Parts the rows that could be read from those that could not."""
    if not pc.any(bad).as_py():
        return ParsedBlock(RowSet(rows, line_numbers, text))

    def part(mask: pa.BooleanArray) -> RowSet:
        positions = pc.indices_nonzero(mask)
        return RowSet(
            rows.filter(mask),
            line_numbers.filter(mask),
            lambda indices: text(positions.take(integers(indices)).to_pylist()),
        )

    return ParsedBlock(part(pc.invert(bad)), part(bad))
