"""The figures of a report, asked of the marts in one store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any

from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.relations import borough_case
from taxi_platform.stores.base import TableStore
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH
from taxi_platform.trips.zones import BOROUGHS

Row = dict[str, Any]

_QUERIES = {
    "days": (
        "zone_days",
        f"day, {borough_case('pickup_zone', BOROUGHS)} AS borough",
        {"trips": "trips", "revenue_cents": "total_cents"},
    ),
    "zones": (
        "zone_months",
        "pickup_zone",
        {
            "trips": "trips",
            "revenue_cents": "revenue_cents",
            "to_airports": "trips_to_airports",
            "from_airports": "trips_from_airports",
        },
    ),
    "hours": ("hour_speeds", "weekday, hour", {"miles": "miles", "seconds": "seconds"}),
    "payments": (
        "payment_tips",
        "payment_type",
        {
            "trips": "trips",
            "fare_cents": "fare_cents",
            "tip_cents": "tip_cents",
            "tipped_fare_cents": "tipped_fare_cents",
        },
    ),
    "pairs": (
        "borough_pairs",
        "pickup_borough, dropoff_borough",
        {"trips": "trips", "revenue_cents": "revenue_cents"},
    ),
    "congestion": (
        "congestion_days",
        "day",
        {
            "trips": "trips",
            "fee_trips": "fee_trips",
            "fee_cents": "fee_cents",
            "miles": "driven_miles",
            "seconds": "driven_seconds",
        },
    ),
    "quality": ("quality_months", "reason", {"row_count": "row_count"}),
}
"""For each table of figures: the mart, what its rows are grouped by, and the sums."""


@dataclass(frozen=True)
class Figures:
    """What a report shows.

    Attributes:
        store: the store's label and address, for the sources.
        colors: the colors, in order.
        months: the months asked for, such as ``2024-01``, in order.
        loaded: the months that have marts.
        tables: rows by table; each with ``color`` and ``month``.
        synthetic: the months that are made up.
        states: what else is known of months, such as ``failed``.
    """

    store: str
    colors: Sequence[str]
    months: Sequence[str]
    loaded: frozenset[TripMonth]
    tables: Mapping[str, Sequence[Row]]
    synthetic: frozenset[TripMonth] = frozenset()
    states: Mapping[TripMonth, str] = field(default_factory=dict)

    @property
    def is_synthetic(self) -> bool:
        """Whether any figure is made up."""
        return bool(self.synthetic & self.loaded)

    def total(self, table: str, column: str) -> int:
        """The sum of a column over all rows of a table."""
        return sum(row[column] or 0 for row in self.tables[table])


def months_with_marts(store: TableStore, colors: Sequence[str]) -> list[TripMonth]:
    """The months of which a store has marts, in order."""
    mart = MARTS["quality_months"]
    existing = store.existing_tables([mart.table(color) for color in colors])
    found = []
    for color in colors:
        if mart.table(color) in existing:
            table = store.quoted_name(mart.table(color))
            statement = f"SELECT DISTINCT {DATA_FILE_MONTH} FROM {table}"  # noqa: S608
            found += [TripMonth(color, month) for (month,) in _ask(store, statement)]
    return sorted(found)


def ask_figures(
    store: TableStore, label: str, colors: Sequence[str], first: date, last: date
) -> Figures:
    """Asks a store for the figures of a range of months.

    Args:
        store: the store.
        label: its name for people.
        colors: the colors.
        first: first day of the first month.
        last: first day of the last month.
    """
    loaded = frozenset(m for m in months_with_marts(store, colors) if first <= m.month <= last)
    tables: dict[str, list[Row]] = {name: [] for name in _QUERIES}
    for name, (mart_name, groups, sums) in _QUERIES.items():
        mart = MARTS[mart_name]
        for color in sorted({m.color for m in loaded if mart.is_made_of(m.color)}):
            tables[name] += _rows(store, mart.table(color), color, groups, sums, first, last)
    months = []
    month = TripMonth(colors[0], first)
    while month.month <= last:
        months.append(month.year_month)
        month = TripMonth(colors[0], month.following)
    return Figures(f"{label}, {store.address}", colors, months, loaded, tables)


def _rows(
    store: TableStore,
    table: str,
    color: str,
    groups: str,
    sums: Mapping[str, str],
    first: date,
    last: date,
) -> list[Row]:
    names = [group.split()[-1] for group in groups.split(", ")] if "CASE" not in groups else []
    names = names or ["day", "borough"]
    number = len(names) + 1
    summed = ", ".join(f"SUM({column}) AS {name}" for name, column in sums.items())
    grouped = ", ".join(str(n) for n in range(1, number + 1))
    # Names are those of marts and of the settings; the months are dates.
    statement = (
        f"SELECT {DATA_FILE_MONTH}, {groups}, {summed} "  # noqa: S608
        f"FROM {store.quoted_name(table)} WHERE {DATA_FILE_MONTH} "
        f"BETWEEN DATE '{first}' AND DATE '{last}' GROUP BY {grouped}"
    )
    found = []
    for month, *values in _ask(store, statement):
        row = dict(zip([*names, *sums], map(_plain, values), strict=True))
        found.append({"color": color, "month": f"{month:%Y-%m}", **row})
    return sorted(found, key=lambda row: [str(value) for value in row.values()])


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, str | int):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _ask(store: TableStore, statement: str) -> list[Sequence[Any]]:
    with store.query(statement, None) as answer:
        return list(chain.from_iterable(answer.batches))
