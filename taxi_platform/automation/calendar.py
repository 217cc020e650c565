"""The state of every month: what the stores have, and what Dagster recorded of its runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from taxi_platform.assets.keys import GCS as GCS_TRIPS
from taxi_platform.assets.keys import table_key
from taxi_platform.assets.records import synthetic_months
from taxi_platform.automation.backfills import failed_months
from taxi_platform.automation.months import (
    MonthRecords,
    is_due,
    month_keys,
    newest_months,
)
from taxi_platform.errors import StoreError
from taxi_platform.safe_texts import safe_line
from taxi_platform.settings import GCS, Settings
from taxi_platform.stores.gcs.client import trip_objects
from taxi_platform.stores.registry import STORES
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.types import trip_type


class MonthState(StrEnum):
    """The state of a month; the first that applies."""

    FAILED = "failed"
    PARTLY = "partly"
    SYNTHETIC = "synthetic"
    LOADED = "loaded"
    UNKNOWN = "unknown"
    NOT_DUE = "not due"
    OVERDUE = "overdue"
    MISSING = "missing"


@dataclass(frozen=True)
class StoredMonths:
    """What the stores say.

    Attributes:
        by_store: the months that have rows, of each store that answered.
        problems: why a store did not answer, by store; one line each, without secrets.
    """

    by_store: Mapping[str, Collection[TripMonth]]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MonthStatus:
    """A month's state.

    Attributes:
        month: color and month.
        state: its state in the stores that answered.
        stores: those of them that have it.
        lost: those that have not, although Dagster recorded a load: somebody removed it, and a
            backfill of missing months leaves it out.
    """

    month: TripMonth
    state: MonthState
    stores: tuple[str, ...]
    lost: tuple[str, ...]


def stored_months(chosen: Settings, colors: Sequence[str]) -> StoredMonths:
    """Asks every store of the settings; one that fails does not hide the others."""
    found: dict[str, Collection[TripMonth]] = {}
    problems: dict[str, str] = {}
    for store in chosen.stores:
        try:
            found[store] = months_in(chosen, store, colors)
        except StoreError as error:
            problems[store] = safe_line(error)
        except Exception as error:  # noqa: BLE001 (one store must not hide the others)
            problems[store] = safe_line(f"unexpected {type(error).__name__}: {error}")
    return StoredMonths(found, problems)


def months_in(chosen: Settings, store: str, colors: Sequence[str]) -> set[TripMonth]:
    """The months of colors that have rows in a store of the settings.

    Raises:
        StoreError: it does not answer, or refuses.
    """
    if store == GCS:
        return {m for m in trip_objects(chosen.gcs).generations() if m.color in colors}
    with chosen.open_store(store) as opened:
        return {month for color in colors for month in opened.loaded_months(color)}


def month_statuses(
    chosen: Settings,
    colors: Sequence[str],
    stored: StoredMonths,
    records: MonthRecords | None,
    now: datetime | None = None,
) -> list[MonthStatus]:
    """The state of every month that has ended and that a color was published for.

    Args:
        chosen: the settings.
        colors: some of their colors.
        stored: what the stores say.
        records: Dagster's records; without them no month is known to have failed.
        now: with a time zone; by default the current time.
    """
    now = now or datetime.now(UTC)
    months = list(_months(chosen, colors, now))
    failed = _failed(records, months) if records else set()
    recorded = _recorded(records, stored.by_store) if records else {}
    synthetic = synthetic_months(records.instance) if records else set()
    newest = set(newest_months(chosen, now))
    found = []
    for month in months:
        stores = tuple(s for s, has in stored.by_store.items() if month in has)
        lost = tuple(s for s, keys in recorded.items() if month.key in keys and s not in stores)
        if month in failed:
            state = MonthState.FAILED
        elif stores and len(stores) < len(stored.by_store):
            state = MonthState.PARTLY
        elif stores:
            state = MonthState.SYNTHETIC if month in synthetic else MonthState.LOADED
        elif not stored.by_store:
            state = MonthState.UNKNOWN
        else:
            state = _absence(chosen, month, newest, now)
        found.append(MonthStatus(month, state, stores, lost))
    return found


def _absence(
    chosen: Settings, month: TripMonth, newest: Collection[TripMonth], now: datetime
) -> MonthState:
    """Why no store has a month; overdue are those that the alerts report."""
    if not is_due(chosen, month, now):
        return MonthState.NOT_DUE
    return MonthState.OVERDUE if month in newest else MonthState.MISSING


def _months(chosen: Settings, colors: Sequence[str], now: datetime) -> Iterator[TripMonth]:
    for color in colors:
        first = f"{trip_type(color).first_month:%Y-%m}"
        for month in month_keys(chosen, now):
            if month >= first:
                yield TripMonth.from_key(f"{color}|{month}")


def _failed(records: MonthRecords, months: Sequence[TripMonth]) -> set[TripMonth]:
    """Also those that a check failed, after which no asset counts as failed."""
    return failed_months(records, months) | records.last_run_failed(months)


def _recorded(records: MonthRecords, stores: Collection[str]) -> dict[str, Collection[str]]:
    """The partition keys that Dagster recorded as loaded, by store."""
    keys = {s: GCS_TRIPS if s == GCS else table_key(STORES[s]) for s in stores}
    return {s: records.instance.get_materialized_partitions(key) for s, key in keys.items()}
