"""The relations that the marts' SQL reads: a month of one color, in the same words for every color.

``trips``
    A row a trip: ``day``, ``weekday`` (1 Monday to 7 Sunday), ``hour``, ``pickup_zone``,
    ``dropoff_zone``, ``passengers``, ``payment_type``, ``mile_thousandths``, ``fare_cents``,
    ``tip_cents``, ``total_cents``, ``fee_cents`` (the congestion fee), and ``driven_seconds`` and
    ``driven_thousandths``, which are null unless the trip took 1 minute to 4 hours and is shorter
    than 100 miles: what else there is of times and distances is mostly wrong.
``days``, ``hours``, ``pairs``
    Sums of trips by ``day`` and ``pickup_zone``; by ``weekday``, ``hour`` and ``payment_type``; by
    ``pickup_zone`` and ``dropoff_zone``, with their boroughs, ``pickup_borough`` and
    ``dropoff_borough``. ``GROUPED`` lists the sums of each. A store computes each once for all
    marts, so a mart of one of them costs next to nothing.
``account``
    A row a ``reason`` for which rows of the file were rejected, with their ``row_count``; the
    reason of kept rows is ``kept``.

A value that a color does not have is null. All sums are of integers, so they do not depend on the
order in which a store adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from taxi_platform.stores.base import Relation, SqlDialect
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH
from taxi_platform.trips.totals import cents_expression
from taxi_platform.trips.types import trip_type

AIRPORTS = (1, 132, 138)
"""The zones of Newark, Kennedy and LaGuardia airport."""

KEPT = "kept"
"""The reason in ``account`` of rows that were not rejected."""

SUMS = {
    "trips": "COUNT(*)",
    "passengers": "CAST(SUM(passengers) AS BIGINT)",
    "mile_thousandths": "CAST(SUM(mile_thousandths) AS BIGINT)",
    "fare_cents": "CAST(SUM(fare_cents) AS BIGINT)",
    "tip_cents": "CAST(SUM(tip_cents) AS BIGINT)",
    "total_cents": "CAST(SUM(total_cents) AS BIGINT)",
    "fee_cents": "CAST(SUM(fee_cents) AS BIGINT)",
    "fee_trips": "SUM(CASE WHEN fee_cents > 0 THEN 1 ELSE 0 END)",
    "driven_trips": "COUNT(driven_seconds)",
    "driven_seconds": "CAST(SUM(driven_seconds) AS BIGINT)",
    "driven_thousandths": "CAST(SUM(driven_thousandths) AS BIGINT)",
}
"""The sums of the relations, as aggregates over ``trips``."""

_DRIVEN = ("driven_trips", "driven_seconds", "driven_thousandths")
_MONEY = ("fare_cents", "tip_cents", "total_cents")

GROUPED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "days": (
        ("day", "pickup_zone"),
        (
            *("trips", "passengers", "mile_thousandths", *_MONEY, "fee_cents", "fee_trips"),
            *_DRIVEN,
        ),
    ),
    "hours": (
        ("weekday", "hour", "payment_type"),
        ("trips", "fare_cents", "tip_cents", *_DRIVEN),
    ),
    "pairs": (
        ("pickup_zone", "dropoff_zone"),
        ("trips", "mile_thousandths", "tip_cents", "total_cents"),
    ),
}
"""What trips are grouped by, and their sums; see ``SUMS``."""


@dataclass(frozen=True)
class Account:
    """What became of the rows of a month's file.

    Attributes:
        kept: rows kept.
        rejected: rows rejected, by reason.
    """

    kept: int
    rejected: Mapping[str, int]


def relations(
    month: TripMonth,
    table: str,
    dialect: SqlDialect,
    boroughs: Mapping[int, str],
    account: Account,
) -> dict[str, Relation]:
    """The relations of a month.

    Args:
        month: color and month.
        table: the full name of the color's table of trips.
        dialect: the store's.
        boroughs: the borough of each zone.
        account: of the month's rows.
    """
    grouped = {name: _grouped(columns, sums, boroughs) for name, (columns, sums) in GROUPED.items()}
    small = {**grouped, "account": _account(account)}
    return {
        "trips": Relation(_trips(month, table, dialect), is_small=False),
        **{name: Relation(sql, is_small=True) for name, sql in small.items()},
    }


def _trips(month: TripMonth, table: str, dialect: SqlDialect) -> str:
    meant = trip_type(month.color).by_meaning
    time, end = meant["pickup_time"], meant.get("dropoff_time")
    distance = meant.get("miles")

    def column(meaning: str, kind: str) -> str:
        return meant.get(meaning, f"CAST(NULL AS {kind})")

    def in_cents(meaning: str) -> str:
        amount = meant.get(meaning)
        return cents_expression(amount, "BIGINT") if amount else "CAST(NULL AS BIGINT)"

    thousandths = f"CAST(FLOOR({distance} * 1000 + 0.5) AS BIGINT)" if distance else "NULL"
    seconds = dialect.seconds.format(start=time, end=end) if end else "NULL"
    driven = f"{distance} < 100 AND {seconds} BETWEEN 60 AND 14400" if distance and end else "FALSE"
    columns = {
        "day": f"CAST({time} AS DATE)",
        "weekday": dialect.weekday.format(time=time),
        "hour": dialect.hour.format(time=time),
        "pickup_zone": column("pickup_zone", "SMALLINT"),
        "dropoff_zone": column("dropoff_zone", "SMALLINT"),
        "passengers": column("passengers", "SMALLINT"),
        "payment_type": column("payment", "SMALLINT"),
        "mile_thousandths": f"CAST({thousandths} AS BIGINT)",
        "fare_cents": in_cents("fare"),
        "tip_cents": in_cents("tip"),
        "total_cents": in_cents("total"),
        "fee_cents": in_cents("congestion_fee"),
        "driven_seconds": f"CASE WHEN {driven} THEN CAST({seconds} AS BIGINT) END",
        "driven_thousandths": f"CASE WHEN {driven} THEN CAST({thousandths} AS BIGINT) END",
    }
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    # Names are those of the schema and of the settings, the month is a date.
    return f"SELECT {chosen} FROM {table} WHERE {DATA_FILE_MONTH} = DATE '{month.month}'"  # noqa: S608


def _grouped(columns: tuple[str, ...], sums: tuple[str, ...], boroughs: Mapping[int, str]) -> str:
    groups = ", ".join(columns)
    summed = ", ".join(f"{SUMS[name]} AS {name}" for name in sums)
    inner = f"SELECT {groups}, {summed} FROM trips GROUP BY {groups}"  # noqa: S608
    zones = [name for name in columns if name.endswith("_zone")]
    if "dropoff_zone" not in zones:
        return inner
    named = ", ".join(
        f"{borough_case(zone, boroughs)} AS {zone.replace('_zone', '_borough')}" for zone in zones
    )
    return f"SELECT *, {named} FROM ({inner}) AS grouped"  # noqa: S608


def borough_case(zone: str, boroughs: Mapping[int, str]) -> str:
    """The borough of a zone: a CASE, which needs no table of zones in the store."""
    zones: dict[str, list[int]] = {}
    for number, borough in boroughs.items():
        zones.setdefault(borough, []).append(number)
    cases = [
        f"WHEN {zone} IN ({', '.join(map(str, sorted(numbers)))}) THEN {_text(borough)}"
        for borough, numbers in zones.items()
    ]
    return f"CASE {' '.join(cases)} ELSE 'Unknown' END" if cases else "'Unknown'"


def _account(account: Account) -> str:
    rows = [(KEPT, account.kept), *sorted(account.rejected.items())]
    return " UNION ALL ".join(
        f"SELECT {_text(reason)} AS reason, {int(number)} AS row_count" for reason, number in rows
    )


def _text(value: str) -> str:
    """A text that every store reads as it is."""
    if not value.replace(" ", "").replace("/", "").replace("_", "").replace("-", "").isalnum():
        value = "".join(c if c.isalnum() else " " for c in value)
    return f"'{value}'"
