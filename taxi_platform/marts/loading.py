"""Replaces the marts of a month in a store, and keeps the store's views."""

from collections.abc import Mapping, Sequence

from taxi_platform.errors import PermanentStoreError
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.mart import Mart
from taxi_platform.marts.relations import Account, relations
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.base import Load, MonthQuery, Relation, SqlDialect, TableStore, View
from taxi_platform.stores.relations import select_list
from taxi_platform.trips.columns import Column
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, columns
from taxi_platform.trips.types import trip_type
from taxi_platform.trips.zones import BOROUGHS

TRIPS_VIEW = "trips"
"""The view of the trips of all colors."""


def month_relations(
    store: TableStore, dialect: SqlDialect, month: TripMonth, account: Account | None
) -> dict[str, Relation]:
    """What the SQL of the marts reads of a month in a store.

    Args:
        store: the store.
        dialect: its SQL.
        month: color and month.
        account: see ``relations``.

    Raises:
        PermanentStoreError: the store has no trips of the month.
    """
    table = store.quoted_name(f"{month.color}_trips")
    # The name comes from the settings and the month, and the month is a date.
    one = f"SELECT 1 AS one FROM {table} WHERE {DATA_FILE_MONTH} = DATE '{month.month}' LIMIT 1"  # noqa: S608
    if not first_rows(store, one, 1).rows:
        raise PermanentStoreError(
            f"{month}: {table} in {store.address} has no rows of this month: load it first"
        )
    return relations(month, table, dialect, BOROUGHS, account)


def replace_marts(
    store: TableStore,
    month: TripMonth,
    given: Mapping[str, Relation],
    marts: Sequence[Mart],
) -> dict[str, Load]:
    """Replaces the marts of a month; each is replaced whole or not at all.

    Args:
        store: the store.
        month: color and month.
        given: what ``month_relations`` returned.
        marts: those to replace.

    Returns:
        The result of each, by the mart's name.
    """
    queries = [
        MonthQuery(mart.table(month.color), mart.schema, mart.sql, mart.description)
        for mart in marts
    ]
    loads = store.replace_by_queries(month.month, given, queries)
    return {mart.name: load for mart, load in zip(marts, loads, strict=True)}


def ensure_views(store: TableStore, colors: Sequence[str], marts: Sequence[Mart]) -> None:
    """Sees to it that a store has the view ``trips``, and one of each mart, over its colors.

    A color takes part in a view when it has a table. The view of the trips has the columns that all
    colors have, with a table or without, so that it does not lose any later.
    """
    wanted = {TRIPS_VIEW: {color: f"{color}_trips" for color in colors}} | {
        mart.name: {c: mart.table(c) for c in colors if mart.is_made_of(c)} for mart in marts
    }
    existing = store.existing_tables(
        [table for tables in wanted.values() for table in tables.values()]
    )
    for name, tables in wanted.items():
        there = {color: table for color, table in tables.items() if table in existing}
        if there:
            mart = MARTS.get(name)
            view = (
                _view_of_mart(store, mart, there) if mart else _view_of_trips(store, there, colors)
            )
            store.ensure_view(view)


def _view_of_trips(store: TableStore, tables: Mapping[str, str], colors: Sequence[str]) -> View:
    shared = [c.name for c in columns(colors[0]) if _is_in_all(c, colors)]
    titles = ", ".join(trip_type(color).title for color in tables)
    return _view(store, TRIPS_VIEW, tables, {name: name for name in shared}, f"Trips: {titles}.")


def _is_in_all(column: Column, colors: Sequence[str]) -> bool:
    return all(
        any(c.name == column.name and c.type == column.type for c in columns(color))
        for color in colors
    )


def _view_of_mart(store: TableStore, mart: Mart, tables: Mapping[str, str]) -> View:
    chosen = {c.name: c.name for c in mart.all_columns}
    chosen |= {name: ratio.sql for name, ratio in mart.ratios.items()}
    return _view(store, mart.name, tables, chosen, mart.description)


def _view(
    store: TableStore,
    name: str,
    tables: Mapping[str, str],
    chosen: Mapping[str, str],
    description: str,
) -> View:
    # Names are those of schemas, marts and settings.
    sql = " UNION ALL ".join(
        f"SELECT '{color}' AS color, {select_list(chosen)} FROM {store.quoted_name(table)}"  # noqa: S608
        for color, table in tables.items()
    )
    return View(name, sql, list(tables.values()), ["color", *chosen], description)
