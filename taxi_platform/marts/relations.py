"""The relations that the marts' SQL reads: a month of one color, in the same words for every color.

``trips``
    A row a trip: ``day``, ``start_hour`` (when the hour of its pickup began), ``pickup_zone``,
    ``dropoff_zone``, ``passengers``, ``payment_type``, ``mile_thousandths``, ``fare_cents``,
    ``tip_cents``, ``total_cents``, ``fee_cents`` (the congestion fee), ``duration``, which stores
    add up in ways of their own, and ``is_driven``: whether the trip took 1 minute to 4 hours, in
    whole seconds, and is shorter than 100 miles. What else there is of times and distances is
    mostly wrong.
``days``, ``hours``, ``pairs``, ``totals``
    Sums of trips by ``day`` and ``pickup_zone``; by ``start_hour`` and ``payment_type``, with their
    ``day``, ``weekday`` (1 Monday to 7 Sunday) and ``hour``; by ``pickup_zone`` and
    ``dropoff_zone``, with their boroughs, ``pickup_borough`` and ``dropoff_borough``; of the month
    by ``payment_type``, with which the marts are compared. ``GROUPED`` lists the sums of each. In
    ``hours`` and ``totals``, there may be two rows of a group: add them up. A store computes each
    once for all marts, so a mart of one of them costs next to nothing.
``account``
    A row a ``reason`` for which rows of the file were rejected, with their ``row_count``; the
    reason of kept rows is ``kept``.

A value that a color does not have is null. All sums are of integers, so they do not depend on the
order in which a store adds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from taxi_platform.stores.base import Relation, SqlDialect
from taxi_platform.stores.relations import select_list
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH
from taxi_platform.trips.totals import cents_expression
from taxi_platform.trips.types import trip_type

AIRPORTS = "1, 132, 138"
"""The zones of Newark, Kennedy and LaGuardia airport, for IN."""

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
    "to_airport_trips": f"SUM(CASE WHEN dropoff_zone IN ({AIRPORTS}) THEN 1 ELSE 0 END)",
    "from_airport_trips": f"SUM(CASE WHEN pickup_zone IN ({AIRPORTS}) THEN 1 ELSE 0 END)",
}
"""The sums of the relations, as aggregates over ``trips``."""

DRIVEN = ("driven_trips", "driven_thousandths", "driven_seconds")
"""Sums of the driven trips alone: their number, distance and duration."""

_MONEY = ("fare_cents", "tip_cents", "total_cents")

GROUPED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "days": (
        ("day", "pickup_zone"),
        ("trips", "passengers", "mile_thousandths", *_MONEY, "to_airport_trips"),
    ),
    "hours": (
        ("start_hour", "payment_type"),
        ("trips", "fare_cents", "tip_cents", "fee_cents", "fee_trips", *DRIVEN),
    ),
    "pairs": (("pickup_zone", "dropoff_zone"), ("trips", "total_cents")),
    "totals": (("payment_type",), (*SUMS, *DRIVEN)),
}
"""What trips are grouped by, and their sums; see ``SUMS`` and ``DRIVEN``."""


@dataclass(frozen=True)
class Account:
    """What became of the rows of a month's file.

    Attributes:
        kept: rows kept.
        total_cents: the sum of their totals; None if the color has none.
        rejected: rows rejected, by reason.
    """

    kept: int
    total_cents: int | None
    rejected: Mapping[str, int]


def relations(
    month: TripMonth,
    table: str,
    dialect: SqlDialect,
    boroughs: Mapping[int, str],
    account: Account | None,
) -> dict[str, Relation]:
    """The relations of a month.

    Args:
        month: color and month.
        table: the full name of the color's table of trips.
        dialect: the store's.
        boroughs: the borough of each zone.
        account: of the month's cleaned file, if there is one. If it is of another version than the
            month in the store, the rejected rows of the loaded version are unknown.
    """
    columns = _trip_columns(month, dialect)
    # Names are those of the schema and of the settings, the month is a date.
    rows = f"FROM {table} WHERE {DATA_FILE_MONTH} = DATE '{month.month}'"
    grouped = {
        name: _grouped(by, sums, columns, rows, dialect, boroughs)
        for name, (by, sums) in GROUPED.items()
    }
    small = {
        **grouped,
        "kept_rows": "SELECT SUM(trips) AS row_count, SUM(total_cents) AS total_cents FROM pairs",
        "account": _account(account),
    }
    return {
        "trips": Relation(f"SELECT {select_list(columns)} {rows}", is_small=False),
        **{name: Relation(sql, is_small=True) for name, sql in small.items()},
    }


def _trip_columns(month: TripMonth, dialect: SqlDialect) -> dict[str, str]:
    """Expressions of a color's columns, by the names of the relation ``trips``."""
    meant = trip_type(month.color).by_meaning
    time, distance = meant["pickup_time"], meant.get("miles")
    end = meant.get("dropoff_time", time)

    def column(meaning: str, kind: str) -> str:
        return meant.get(meaning, f"CAST(NULL AS {kind})")

    def in_cents(meaning: str) -> str:
        amount = meant.get(meaning)
        return cents_expression(amount, "BIGINT") if amount else "CAST(NULL AS BIGINT)"

    thousandths = f"FLOOR({distance} * 1000 + 0.5)" if distance else "NULL"
    duration = dialect.duration.format(start=time, end=end)
    plausible = dialect.is_plausible.format(duration=duration)
    return {
        "day": f"CAST({time} AS DATE)",
        "start_hour": dialect.start_hour.format(time=time),
        "pickup_zone": column("pickup_zone", "SMALLINT"),
        "dropoff_zone": column("dropoff_zone", "SMALLINT"),
        "passengers": column("passengers", "SMALLINT"),
        "payment_type": column("payment", "SMALLINT"),
        "mile_thousandths": f"CAST({thousandths} AS BIGINT)",
        "fare_cents": in_cents("fare"),
        "tip_cents": in_cents("tip"),
        "total_cents": in_cents("total"),
        "fee_cents": in_cents("congestion_fee"),
        "duration": duration,
        "is_driven": f"{distance} < 100 AND {plausible}" if distance else "FALSE",
    }


def _grouped(
    columns: tuple[str, ...],
    sums: tuple[str, ...],
    trip_columns: Mapping[str, str],
    rows: str,
    dialect: SqlDialect,
    boroughs: Mapping[int, str],
) -> str:
    """Sums of trips. What is computed of the groups is computed once a group, not once a trip."""
    groups, summed = [*columns], {name: SUMS[name] for name in sums if name in SUMS}
    further: dict[str, str] = {}
    if DRIVEN[0] in sums:
        # A third group is cheaper than to decide for each sum whether it counts a trip.
        groups.append("is_driven")
        summed |= {"mile_thousandths": SUMS["mile_thousandths"]}
        summed |= {"seconds": dialect.seconds.format(durations="SUM(duration)")}
        of = ("trips", "mile_thousandths", "seconds")
        further |= {
            driven: f"CASE WHEN is_driven THEN {every} ELSE 0 END"
            for driven, every in zip(DRIVEN, of, strict=True)
        }
    if "start_hour" in columns:
        parts = {"weekday": dialect.weekday, "hour": dialect.hour}
        further |= {name: sql.format(time="start_hour") for name, sql in parts.items()}
        further |= {"day": "CAST(start_hour AS DATE)"}
    if "dropoff_zone" in columns:
        further |= {
            zone.replace("_zone", "_borough"): borough_case(zone, boroughs) for zone in columns
        }
    by = ", ".join(groups)
    # Only what is needed of the trips: a long statement takes long to parse.
    words = {word for text in (by, *summed.values()) for word in re.findall(r"\w+", text)}
    needed = {name: sql for name, sql in trip_columns.items() if name in words}
    trips = f"(SELECT {select_list(needed)} {rows}) AS trips"
    inner = f"SELECT {by}, {select_list(summed)} FROM {trips} GROUP BY {by}"  # noqa: S608
    if not further:
        return inner
    return f"SELECT *, {select_list(further)} FROM ({inner}) AS grouped"  # noqa: S608


def borough_case(zone: str, boroughs: Mapping[int, str]) -> str:
    """The borough of a zone, which needs no table of zones in the store.

    A text has three digits for each zone. To list the zones of each borough would take a store
    longer to parse than all the rest.
    """
    names = sorted(set(boroughs.values()))
    if not names:
        return "'Unknown'"
    last, codes = max(boroughs), {name: f"{at:03}" for at, name in enumerate(names)}
    by_zone = "".join(codes.get(boroughs.get(n, ""), "---") for n in range(1, last + 1))
    cases = " ".join(f"WHEN '{codes[name]}' THEN {_text(name)}" for name in names)
    code = f"SUBSTR('{by_zone}', 3 * {zone} - 2, 3)"
    known = f"CASE {code} {cases} ELSE 'Unknown' END"
    return f"CASE WHEN {zone} BETWEEN 1 AND {last} THEN {known} ELSE 'Unknown' END"


def _account(account: Account | None) -> str:
    """Rows of the file that were rejected are known if the month in the store is of that file."""
    # Nothing in a store says of which file its rows are. Two versions of a month that have the same
    # number of rows and the same total differ in what they reject, if at all, by little.
    parts = [f"SELECT '{KEPT}' AS reason, row_count FROM kept_rows"]  # noqa: S608
    if account is not None:
        cents = account.total_cents
        total = "total_cents IS NULL" if cents is None else f"total_cents = {int(cents)}"
        parts += [
            f"SELECT {_text(reason)} AS reason, {int(number)} AS row_count FROM kept_rows "  # noqa: S608
            f"WHERE row_count = {int(account.kept)} AND {total}"
            for reason, number in sorted(account.rejected.items())
        ]
    return " UNION ALL ".join(parts)


def _text(value: str) -> str:
    """A text that every store reads as it is."""
    if not value.replace(" ", "").replace("/", "").replace("_", "").replace("-", "").isalnum():
        value = "".join(c if c.isalnum() else " " for c in value)
    return f"'{value}'"
