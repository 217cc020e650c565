"""The figures of a report, asked of the marts in one store."""

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    def made_up(self) -> str:
        """What titles begin with if months are made up: ``Synthetic`` or ``Partly synthetic``."""
        if not (made_up := self.synthetic & self.loaded):
            return ""
        return "Synthetic" if made_up == self.loaded else "Partly synthetic"

    @property
    def disagreeing(self) -> frozenset[TripMonth]:
        """The months whose marts count other numbers of trips, so they are of several versions."""
        counted: dict[TripMonth, set[int]] = {month: set() for month in self.loaded}
        for name, (mart, _, sums) in _QUERIES.items():
            if "trips" not in sums:
                continue
            trips = {m: 0 for m in self.loaded if MARTS[mart].is_made_of(m.color)}
            for row in self.tables[name]:
                trips[TripMonth.from_key(f"{row['color']}|{row['month']}")] += row["trips"] or 0
            for month, number in trips.items():
                counted[month].add(number)
        return frozenset(month for month, numbers in counted.items() if len(numbers) > 1)

    def total(self, table: str, column: str) -> int:
        """The sum of a column over all rows of a table."""
        return sum(row[column] or 0 for row in self.tables[table])


def total_of(values: Iterable[int | None]) -> int | None:
    """The sum of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


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

    Raises:
        ValueError: a mart was never made.
    """
    loaded = frozenset(m for m in months_with_marts(store, colors) if first <= m.month <= last)
    _require_tables(store, loaded)
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


def _require_tables(store: TableStore, months: Collection[TripMonth]) -> None:
    colors = sorted({month.color for month in months})
    marts = [MARTS[name] for name, *_ in _QUERIES.values()]
    wanted = {mart.table(c): mart.name for c in colors for mart in marts if mart.is_made_of(c)}
    if absent := sorted(wanted.keys() - store.existing_tables(list(wanted))):
        raise ValueError(
            f"{store.address} has no {', '.join(absent)}: make the marts "
            f"{', '.join(sorted({wanted[table] for table in absent}))} of every month"
        )


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
    # A float has not enough digits for every sum of cents.
    return int(value) if value == int(value) else float(value)


def _ask(store: TableStore, statement: str) -> list[Sequence[Any]]:
    with store.query(statement, None) as answer:
        return list(chain.from_iterable(answer.batches))
