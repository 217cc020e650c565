"""What the platform tells a monitoring system: runs, ticks, daemons and months, as numbers.

The numbers of ``taxi-platform status`` and of the alerts, from the same functions. Two things are
measured, each by a thread of its own: Dagster's records, which change every second and cost
milliseconds, and the months, for which every store is asked. A measurement is kept for a while, so
a hundred scrapes cost what one costs; and no scrape waits longer than ``PATIENCE_SECONDS``,
whatever a server does.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from taxi_platform.assets.loaded_months import loaded_months
from taxi_platform.automation.calendar import MonthState, month_statuses, stored_months
from taxi_platform.automation.measuring import Measuring
from taxi_platform.automation.months import MonthRecords
from taxi_platform.dagster_internals import LastTick, last_ticks
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth

PATIENCE_SECONDS = 4.0
"""How long a scrape waits, for both measurements together. Prometheus gives up after 10 s."""

RECORDS_SECONDS = 5.0
"""How long Dagster's records are kept: less than any scrape interval."""

MONTHS_SECONDS = 300.0
"""How long the months are kept. They change with a run, and asking BigQuery is not for free."""

STALE_SECONDS = 900.0
"""Months older than this are not shown, while the next measurement of them does not end."""

AGAIN_SECONDS = 30.0
"""When the months are asked for again if somebody did not answer."""

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
        problems: why others did not, by store.
        rows: rows loaded, by color and whether they are synthetic: of months that every store has.
        at: when this was measured, in seconds since 1970.
    """

    states: Mapping[tuple[str, MonthState], int]
    stored: Mapping[tuple[str, str], int]
    problems: Mapping[str, str]
    rows: Mapping[tuple[str, bool], int]
    at: float

    @classmethod
    def of(cls, records: MonthRecords) -> "Months":
        """Asks the stores and an instance."""
        chosen, at = records.chosen, time.time()
        stored = stored_months(chosen, chosen.colors)
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
            problems=stored.problems,
            rows={
                (c, synthetic): rows[c, synthetic]
                for c in chosen.colors
                for synthetic in (False, True)
            },
            at=at,
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
        *,
        records_seconds: float = RECORDS_SECONDS,
        months_seconds: float = MONTHS_SECONDS,
    ) -> None:
        """Measures nothing yet.

        Args:
            chosen: the settings.
            open_instance: opens Dagster's instance.
            report: is called with what cannot be measured, and why, when that changes.
            records_seconds: how long Dagster's records are kept.
            months_seconds: how long the months are kept.
        """

        def records() -> Records:
            with open_instance() as instance:
                return Records.of(instance)

        def months() -> Months:
            with open_instance() as instance:
                return Months.of(MonthRecords(instance, chosen))

        self._records = Measuring("dagster", records, report, records_seconds)
        self._months = Measuring(
            "months",
            months,
            report,
            months_seconds,
            stale_seconds=STALE_SECONDS,
            again_seconds=min(AGAIN_SECONDS, months_seconds),
            flaws=lambda found: [f"{store}: {why}" for store, why in found.problems.items()],
        )

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All metrics; those of what does not answer are left out, and its ``up`` is 0."""
        until = time.monotonic() + PATIENCE_SECONDS
        self._months.begin()
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

    answered = _gauge("store_up", "Whether a store answered when the months were counted.", "store")
    for store in sorted({store for store, _ in months.stored} | set(months.problems)):
        answered.add_metric([store], store not in months.problems)
    yield answered

    stored = _gauge("store_months", "Months that have rows in a store.", "store", "color")
    for (store, color), number in months.stored.items():
        stored.add_metric([store, color], number)
    yield stored

    at = _gauge("months_timestamp_seconds", "When the months were counted.")
    at.add_metric([], months.at)
    yield at


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", says, labels=labels)
