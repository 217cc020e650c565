"""Reads the answers of stores: batch by batch, or their first rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

from taxi_platform.stores.base import TableStore

BATCH_ROWS = 5_000
"""How many rows of an answer are in memory at once."""


def fetched(
    fetch: Callable[[int], Sequence[Sequence[Any]]], limit: int | None
) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a cursor in batches.

    Args:
        fetch: the cursor's ``fetchmany``.
        limit: at most so many rows; None for all.
    """
    left = limit
    while left is None or left > 0:
        rows = fetch(BATCH_ROWS if left is None else min(left, BATCH_ROWS))
        if not rows:
            return
        yield rows
        left = None if left is None else left - len(rows)


@dataclass(frozen=True)
class FirstRows:
    """The beginning of an answer: its schema, the first rows, and whether there are more."""

    schema: pa.Schema
    rows: Sequence[Sequence[Any]]
    more: bool

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        names: list[str] = self.schema.names
        return names


def first_rows(store: TableStore, statement: str, limit: int) -> FirstRows:
    """The first rows of what one statement reads.

    Args:
        store: the store to ask.
        statement: the SQL.
        limit: at most so many rows.

    Raises:
        StoreError: the store refuses, or cannot be reached.
    """
    # One more, to know whether there are more.
    with store.query(statement, limit + 1) as answer:
        rows = list(chain.from_iterable(answer.batches))
    return FirstRows(answer.schema, rows[:limit], len(rows) > limit)
