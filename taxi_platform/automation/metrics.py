"""What the platform tells a monitoring system: runs, ticks, daemons and months, as numbers.

The numbers of ``taxi-platform status`` and of the alerts, from the same functions. Dagster's
records, the months and each store are measured by a thread of their own, and what was measured is
kept for a while. So a hundred scrapes cost what one costs, and no scrape waits longer than
``PATIENCE_SECONDS``, whatever a server does.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from taxi_platform.assets.loaded_months import loaded_months
from taxi_platform.automation.calendar import (
    MonthState,
    StoredMonths,
    month_statuses,
    months_in,
)
from taxi_platform.automation.measuring import Measuring
from taxi_platform.automation.months import MonthRecords
from taxi_platform.dagster_internals import LastTick, last_ticks
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth

PATIENCE_SECONDS = 4.0
"""How long a scrape waits in all. Prometheus gives up after 10 s."""

STORE_PATIENCE_SECONDS = 20.0
"""How long the months are counted without a store that does not answer."""

STALE_SECONDS = 300.0
"""How old the months may be that are shown while they are counted again."""


@dataclass(frozen=True)
class Keeping:
    """How many seconds what was measured is kept.

    Attributes:
        records: what Dagster records: less than any scrape interval.
        months: the months, as far as Dagster tells.
        store: what a store answered, if no run has ended since. BigQuery bills for reading a column
            of every row: a gigabyte for a hundred million trips.
        changed: what it answered, if a run has ended since.
        failed: when a store that did not answer is asked again.
    """

    records: float = 5.0
    months: float = 60.0
    store: float = 21_600.0
    changed: float = 600.0
    failed: float = 30.0


ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

NEVER = float("inf")

PREFIX = "taxi_platform"

Opens = Callable[[], AbstractContextManager[DagsterInstance]]
"""Opens Dagster's instance; raises if its storage does not answer."""


@dataclass(frozen=True)
class Records:
    """What Dagster records of its own work. Times are in seconds since 1970.

    Attributes:
        runs: the number of runs by status, also of those that have none.
        oldest_queued: when the run was launched that has waited longest; None if none waits.
        heartbeats: the last sign of each daemon that should run; None if there never was one.
        ticks: the last tick of each sensor and schedule that is on.
    """

    runs: Mapping[DagsterRunStatus, int]
    oldest_queued: float | None
    heartbeats: Mapping[str, float | None]
    ticks: Sequence[LastTick]

    @classmethod
    def of(cls, instance: DagsterInstance) -> "Records":
        """Asks an instance."""
        runs = {
            status: instance.get_runs_count(RunsFilter(statuses=[status]))
            for status in DagsterRunStatus
        }
        daemons = instance.get_daemon_statuses()
        # A sensor whose code location was renamed has left its state, and last tick, behind.
        ticks = {tick.name: tick for tick in sorted(last_ticks(instance), key=lambda tick: tick.at)}
        return cls(
            runs=runs,
            oldest_queued=_oldest_queued(instance),
            heartbeats={
                name: status.last_heartbeat.timestamp if status.last_heartbeat else None
                for name, status in sorted(daemons.items())
                if status.required
            },
            ticks=[tick for _, tick in sorted(ticks.items())],
        )


def _oldest_queued(instance: DagsterInstance) -> float | None:
    queued = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
    for record in instance.get_run_records(queued, limit=1, ascending=True):
        # Not the row's own time, which is in the time zone of the database.
        enqueued = DagsterEventType.PIPELINE_ENQUEUED
        run_id = record.dagster_run.run_id
        for event in instance.get_records_for_run(run_id, of_type=enqueued, limit=1).records:
            return event.timestamp
    return None


@dataclass(frozen=True)
class Months:
    """What is loaded.

    Attributes:
        states: the number of months by color and state.
        stored: the number of months by store and color, of stores that answered.
        silent: the stores that did not.
        rows: rows loaded, by color and whether they are synthetic: of months that every store has.
    """

    states: Mapping[tuple[str, MonthState], int]
    stored: Mapping[tuple[str, str], int]
    silent: Collection[str]
    rows: Mapping[tuple[str, bool], int]

    @classmethod
    def of(cls, records: MonthRecords, stored: StoredMonths) -> "Months":
        """Asks an instance about what the stores say."""
        chosen = records.chosen
        states = Counter(
            (status.month.color, status.state)
            for status in month_statuses(chosen, chosen.colors, stored, records)
        )
        rows: Counter[tuple[str, bool]] = Counter()
        for month, loaded in loaded_months(records.instance, chosen).items():
            rows[month.color, loaded.is_synthetic] += loaded.rows
        return cls(
            states={(c, state): states[c, state] for c in chosen.colors for state in MonthState},
            stored={
                (store, color): _of_color(months, color)
                for store, months in stored.by_store.items()
                for color in chosen.colors
            },
            silent=stored.problems.keys(),
            rows={
                (c, synthetic): rows[c, synthetic]
                for c in chosen.colors
                for synthetic in (False, True)
            },
        )


def _of_color(months: Iterable[TripMonth], color: str) -> int:
    return sum(month.color == color for month in months)


class PlatformCollector(Collector):
    """Measures when it is scraped, or shows what was measured a moment ago."""

    def __init__(
        self,
        chosen: Settings,
        open_instance: Opens,
        report: Callable[[str], None],
        keeping: Keeping | None = None,
    ) -> None:
        """Measures nothing yet.

        Args:
            chosen: the settings.
            open_instance: opens Dagster's instance.
            report: is called with what cannot be measured, and why, when that changes.
            keeping: for how long.
        """
        self._chosen, self._open, self._keeping = chosen, open_instance, keeping or Keeping()
        self._ended: int | None = None
        kept = self._keeping
        self._stores = {
            store: Measuring(
                store,
                partial(months_in, chosen, store, chosen.colors),
                report,
                kept.store,
                again_seconds=kept.failed,
            )
            for store in chosen.stores
        }
        self._records = Measuring("dagster", self._ask, report, kept.records)
        self._months = Measuring(
            "months", self._count, report, kept.months, stale_seconds=STALE_SECONDS
        )

    def begin(self) -> None:
        """Has all measured: who begins to scrape later need not wait."""
        self._months.begin()
        self._records.begin()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All metrics; those of what does not answer are left out, and its ``up`` is 0."""
        until = time.monotonic() + PATIENCE_SECONDS
        self.begin()
        records = self._records.value(until)
        months = self._months.value(until)
        up = _gauge("up", "Whether it could be measured: Dagster's records, and the months.", "of")
        up.add_metric(["dagster"], records is not None)
        up.add_metric(["months"], months is not None)
        yield up
        if records is not None:
            yield from _of_records(records, time.time())
        if months is not None:
            yield from _of_months(months)

    def _ask(self) -> Records:
        with self._open() as instance:
            return Records.of(instance)

    def _count(self) -> Months:
        with self._open() as instance:
            ended = instance.get_runs_count(RunsFilter(statuses=ENDED))
            for store in self._stores.values():
                if ended != self._ended:
                    store.outdate(self._keeping.changed)
                store.begin()
            self._ended = ended
            return Months.of(MonthRecords(instance, self._chosen), self._stored())

    def _stored(self) -> StoredMonths:
        until = time.monotonic() + STORE_PATIENCE_SECONDS
        answers = {name: store.value(until) for name, store in self._stores.items()}
        return StoredMonths(
            {name: months for name, months in answers.items() if months is not None},
            {name: "no answer" for name, months in answers.items() if months is None},
        )


def _of_records(records: Records, now: float) -> Iterable[GaugeMetricFamily]:
    runs = _gauge("runs", "Runs that Dagster has records of.", "status")
    for status, number in records.runs.items():
        runs.add_metric([status.value.lower()], number)
    yield runs

    length = _gauge("run_queue_length", "Runs that wait in the queue.")
    length.add_metric([], records.runs[DagsterRunStatus.QUEUED])
    yield length

    waits = _gauge("run_queue_oldest_seconds", "How long the first run of the queue has waited.")
    oldest = records.oldest_queued
    waits.add_metric([], 0.0 if oldest is None else max(now - oldest, 0.0))
    yield waits

    ages = _gauge(
        "daemon_heartbeat_age_seconds",
        "Since the last sign of a daemon that should run; infinite if there never was one.",
        "daemon",
    )
    for daemon, at in records.heartbeats.items():
        ages.add_metric([daemon.lower()], NEVER if at is None else max(now - at, 0.0))
    yield ages

    failed = _gauge("tick_failed", "Whether the last tick of what is on failed.", "automation")
    in_a_row = _gauge("tick_failures", "How many ticks in a row have failed.", "automation")
    began = _gauge("tick_timestamp_seconds", "When the last tick that ended began.", "automation")
    for tick in records.ticks:
        failed.add_metric([tick.name], tick.is_red)
        in_a_row.add_metric([tick.name], tick.failures if tick.is_red else 0)
        began.add_metric([tick.name], tick.at)
    yield from (failed, in_a_row, began)


def _of_months(months: Months) -> Iterable[GaugeMetricFamily]:
    states = _gauge("months", "Months that have ended, as `status` shows them.", "color", "state")
    for (color, state), number in months.states.items():
        states.add_metric([color, state], number)
    yield states

    rows = _gauge("rows", "Rows loaded, of months that every store has.", "color", "source")
    for (color, synthetic), number in months.rows.items():
        rows.add_metric([color, "synthetic" if synthetic else "published"], number)
    yield rows

    answered = _gauge("store_up", "Whether a store answered when it was asked last.", "store")
    for store in sorted({store for store, _ in months.stored} | set(months.silent)):
        answered.add_metric([store], store not in months.silent)
    yield answered

    stored = _gauge("store_months", "Months that have rows in a store.", "store", "color")
    for (store, color), number in months.stored.items():
        stored.add_metric([store, color], number)
    yield stored


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", says, labels=labels)
