"""Blocks of rows: the data structures and the interface that the CSV and Parquet readers share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.columns import Column
from taxi_platform.trips.notes import Notes
from taxi_platform.trips.schema import ColumnMap, trip_schema
from taxi_platform.trips.types import trip_type

REJECT_REASONS = "reject_reasons"
LINE_NUMBER = "line_number"
RAW_TEXT = "raw_text"

BLOCK_ROWS = 1 << 15
"""Maximum rows per block. Large enough to hide the overhead per block, small enough to keep
memory flat."""

UNPARSEABLE = "unparseable"
"""Reject reason of a row that could not be parsed, so that no rule was applied to it."""


RawText = Callable[[pa.Int64Array], pa.StringArray]
"""Returns the published text of the rows at the given positions."""


def reject_schema(color: str) -> pa.Schema:
    """The schema of rejected rows: the canonical columns, and why each row was rejected.

    ``line_number`` is the line in the published file, from 1, including the header (in Parquet: the
    row, from 1). ``raw_text`` is the published line (in Parquet: the row as JSON, only if the
    canonical columns do not contain all of it).
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
    """Some rows, with their positions in the published file.

    Attributes:
        rows: the canonical columns without ``data_file_month``.
        line_numbers: int64, one per row.
        raw_text: returns the published text of the rows at the given positions.
    """

    rows: pa.RecordBatch
    line_numbers: pa.Int64Array
    raw_text: RawText

    def __len__(self) -> int:
        return int(self.rows.num_rows)


@dataclass(frozen=True)
class FirstFailure:
    """The first value or line in a file that could not be parsed.

    Attributes:
        line_number: as in the rejected rows.
        what: what was found and why it cannot be parsed; part of a sentence.
    """

    line_number: int
    what: str


@dataclass(frozen=True)
class ParsedBlock:
    """The rows of one block, split into parsed and unparseable ones.

    Attributes:
        parsed: the rows that could be parsed.
        unparseable: the rows that could not.
        notes: warnings about the rows.
        first_failure: the first failure among the unparseable rows.
    """

    parsed: RowSet
    unparseable: RowSet | None = None
    notes: Notes = field(default_factory=Notes)
    first_failure: FirstFailure | None = None

    @property
    def rows_read(self) -> int:
        """Number of rows in the block."""
        return len(self.parsed) + (len(self.unparseable) if self.unparseable else 0)


class BlockReader(Protocol):
    """An open published file whose header has been mapped.

    Only one thread may consume ``raw_blocks``. Several threads may call ``parse`` at once and in
    any order: the result depends only on the block.
    """

    color: str
    columns: ColumnMap

    def raw_blocks(self) -> Iterator[Any]:
        """Yields the file's rows in order, in blocks of bounded size."""
        ...

    def parse(self, raw: Any) -> ParsedBlock:
        """Parses a block into canonical columns."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


def parsed_columns(color: str) -> tuple[Column, ...]:
    """The columns that are read from the file: all except the last one, ``data_file_month``."""
    return trip_type(color).columns


def canonical_batch(color: str, arrays: dict[str, pa.Array], length: int) -> pa.RecordBatch:
    """A batch with the arrays in canonical order. Columns that the file lacks are null."""
    ordered = parsed_columns(color)
    return pa.RecordBatch.from_arrays(
        [arrays[c.name] if c.name in arrays else _nulls(c.type, length) for c in ordered],
        names=[c.name for c in ordered],
    )


def _nulls(type_: pa.DataType, length: int) -> pa.Array:
    """Nulls, sliced from one array that all blocks share, because writing zeros takes time."""
    shared = _many_nulls(type_)
    return shared[:length] if length <= len(shared) else pa.nulls(length, type_)


@cache
def _many_nulls(type_: pa.DataType) -> pa.Array:
    return pa.nulls(BLOCK_ROWS, type_)


def split_block(
    rows: pa.RecordBatch,
    line_numbers: pa.Int64Array,
    bad: pa.BooleanArray,
    text: RawText,
) -> ParsedBlock:
    """Splits a block into the rows that could be parsed and those that could not."""
    if not pc.any(bad).as_py():
        return ParsedBlock(RowSet(rows, line_numbers, text))

    def part(mask: pa.BooleanArray) -> RowSet:
        positions = pc.indices_nonzero(mask).cast(pa.int64())
        return RowSet(
            rows.filter(mask),
            line_numbers.filter(mask),
            lambda indices: text(positions.take(indices)),
        )

    return ParsedBlock(part(pc.invert(bad)), part(bad))
