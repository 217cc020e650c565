"""Compares a month's marts with the trips that they were made of, and with another store's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from taxi_platform.marts.mart import MILES, Mart
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.base import Relation, SqlDialect, TableStore
from taxi_platform.stores.relations import with_clause
from taxi_platform.trips.columns import Column
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH

MOST_SHOWN = 3
"""How many rows that differ a message names."""


def wrong_sums(
    store: TableStore, month: TripMonth, given: Mapping[str, Relation], marts: Sequence[Mart]
) -> dict[str, list[str]]:
    """Which sums of the marts' columns differ from those of the trips, by mart; in one query.

    Args:
        store: the store.
        month: color and month.
        given: what ``month_relations`` returned.
        marts: those to compare.
    """
    wanted = [(mart, column, sql) for mart in marts for column, sql in mart.sums.items()]
    sums = ", ".join(f"{sql} AS t{n}" for n, (_, _, sql) in enumerate(wanted))
    # Names are those of marts and of the settings.
    parts = [f"(SELECT {sums} FROM totals) AS t"]  # noqa: S608
    parts += [_sums_of(store, month, mart, n) for n, mart in enumerate(marts)]
    statement = f"SELECT * FROM {' CROSS JOIN '.join(parts)}"  # noqa: S608
    row = _only_row(store, with_clause(given, statement))
    expected, found = row[: len(wanted)], row[len(wanted) :]
    differences: dict[str, list[str]] = {mart.name: [] for mart in marts}
    for (mart, column, _), right, is_ in zip(wanted, expected, found, strict=True):
        if is_ != right:
            unit = next(c.unit for c in mart.columns if c.name == column)
            differences[mart.name].append(
                f"{column} adds up to {_shown(is_, unit)} instead of {_shown(right, unit)}"
            )
    return differences


def _sums_of(store: TableStore, month: TripMonth, mart: Mart, number: int) -> str:
    """A subquery of the sums of a mart's columns."""
    columns = {column.name: column for column in mart.columns}
    sums = ", ".join(f"SUM({_exact(columns[c])}) AS m{number}_{n}" for n, c in enumerate(mart.sums))
    return f"(SELECT {sums} FROM {_month_of(store, month, mart)}) AS m{number}"  # noqa: S608


def _month_of(store: TableStore, month: TripMonth, mart: Mart) -> str:
    """A month of a mart's table, for FROM."""
    table = store.quoted_name(mart.table(month.color))
    return f"{table} WHERE {DATA_FILE_MONTH} = DATE '{month.month}'"


def _exact(column: Column) -> str:
    """An integer of a column's value, whose sum does not depend on the order."""
    if column.unit == MILES:
        return f"CAST(FLOOR({column.name} * 1000 + 0.5) AS BIGINT)"
    return column.name


def _shown(value: int | None, unit: str) -> str:
    if value is None:
        return "nothing"
    if unit == MILES:
        return f"{value / 1000:,.3f} miles"
    return f"{value:,} {unit}".strip()


def _only_row(store: TableStore, statement: str) -> list[int | None]:
    row = first_rows(store, statement, 1).rows[0]
    return [None if value is None else int(value) for value in row]


def same_trips(first: TableStore, other: TableStore, month: TripMonth) -> bool:
    """Whether two stores hold the same version of a month, as far as rows and amounts tell."""
    return first.totals(month) == other.totals(month)


def fingerprints(
    store: TableStore, dialect: SqlDialect, month: TripMonth, marts: Sequence[Mart]
) -> dict[str, tuple[int | None, ...]]:
    """The number of rows of a month of each mart and the sum of their digests; in one query.

    Marts with the same rows have the same fingerprint in every store, if their columns are whole
    numbers, dates, texts and miles. Others may have different ones.

    Args:
        store: the store.
        dialect: its SQL.
        month: color and month.
        marts: those wanted.
    """
    if not marts:
        return {}
    parts = [
        f"(SELECT COUNT(*) AS r{n}, SUM({dialect.number.format(digest='digest')}) AS d{n} "  # noqa: S608
        f"FROM ({_digests(store, dialect, month, mart)}) AS digests) AS m{n}"
        for n, mart in enumerate(marts)
    ]
    row = _only_row(store, f"SELECT * FROM {' CROSS JOIN '.join(parts)}")  # noqa: S608
    return {mart.name: (row[2 * n], row[2 * n + 1]) for n, mart in enumerate(marts)}


def _digests(store: TableStore, dialect: SqlDialect, month: TripMonth, mart: Mart) -> str:
    """A digest of each row; step by step, since a store may expand what is nested many times."""
    texts = (dialect.text.format(value=_exact(column)) for column in mart.columns)
    parts = ", '|', ".join(f"COALESCE({text}, 'null')" for text in texts)
    rows = f"SELECT CONCAT({parts}) AS whole FROM {_month_of(store, month, mart)}"  # noqa: S608
    return f"SELECT {dialect.digest.format(text='whole')} AS digest FROM ({rows}) AS texts"  # noqa: S608


def unlike(first: TableStore, other: TableStore, month: TripMonth, mart: Mart) -> list[str]:
    """How a month of a mart differs between two stores, row by row; empty if it does not."""
    ours, theirs = (_rows(store, month, mart) for store in (first, other))
    differences = [
        f"{_named(mart, row)} is {'more often' if row in elsewhere else 'only'} in {store.address}"
        for store, rows, elsewhere in (
            (first, ours - theirs, theirs),
            (other, theirs - ours, ours),
        )
        for row in sorted(rows, key=repr)[:MOST_SHOWN]
    ]
    if ours.total() != theirs.total():
        differences.insert(0, f"{ours.total():,} rows and {theirs.total():,}")
    return differences


def _rows(store: TableStore, month: TripMonth, mart: Mart) -> Counter[tuple[Any, ...]]:
    names = [column.name for column in mart.columns]
    rows = store.stream_rows(mart.table(month.color), month.month, names).read_all()
    schema = pa.schema([mart.schema.field(name) for name in names])
    columns = [column.to_pylist() for column in rows.cast(schema).columns]
    return Counter(zip(*columns, strict=True))


def _named(mart: Mart, row: tuple[Any, ...]) -> str:
    values = zip(mart.columns, row, strict=True)
    return ", ".join(f"{column.name} {value}" for column, value in values)
