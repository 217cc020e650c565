"""What the platform tells a monitoring system: runs, ticks, daemons and months, as numbers.

The numbers of ``taxi-platform status`` and of the alerts, from the same functions. Dagster's
records, the months and each store are measured by a thread of their own, and what was measured is
kept for a while. So a hundred scrapes cost what one costs, and no scrape waits longer than
``PATIENCE_SECONDS``, whatever a server does.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

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
from taxi_platform.automation.measuring import Complaint, Measuring
from taxi_platform.automation.months import MonthRecords
from taxi_platform.dagster_internals import LastTick, last_ticks
from taxi_platform.dagster_storage import StorageUnavailableError
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

MOST_ASKED = 5
"""How many queued runs are asked since when they wait, if the first of them do not say."""

NEVER = float("inf")

PREFIX = "taxi_platform"

T = TypeVar("T")

Opens = Callable[[], AbstractContextManager[DagsterInstance]]
"""Opens Dagster's instance; raises if its storage does not answer."""


@dataclass(frozen=True)
class Workers:
    """Who executes runs, by queue; a queue whose workers have all died has none.

    Attributes:
        living: the number of workers.
        places: how many runs those that take runs execute at once.
    """

    living: Mapping[str, int]
    places: Mapping[str, int]


LooksAtWorkers = Callable[[DagsterInstance], Workers | None]
"""Says who lives, None as long as that cannot be told."""


class Parts:
    """Measures parts of something, so that one that cannot be measured hides no other."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Measures nothing yet.

        Args:
            report: is called with what cannot be measured, and why, when that changes.
        """
        self._report = report
        self._complaints: dict[str, Complaint] = {}
        self.failed: set[str] = set()

    def measure(self, name: str, ask: Callable[[], T]) -> T | None:
        """One part; None, and its name is among ``failed``, if it cannot be measured.

        Raises:
            StorageUnavailableError: there is no database, so the next part need not try.
        """
        complaint = self._complaints.setdefault(name, Complaint(name, self._report))
        try:
            value = ask()
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the other parts are shown)
            complaint.say(error)
            self.failed.add(name)
            return None
        complaint.end()
        self.failed.discard(name)
        return value


@dataclass(frozen=True)
class Records:
    """What Dagster records of its own work. Times are in seconds since 1970.

    What cannot be measured is None.

    Attributes:
        runs: the number of runs by status, also of those that have none.
        oldest_queued: when the run was launched that has waited longest; infinite if none waits.
        heartbeats: the last sign of each daemon that should run; None if there never was one.
        ticks: the last tick of each sensor and schedule that is on.
        workers: the workers; None also if there are none by the settings.
        is_whole: whether all could be measured.
    """

    runs: Mapping[DagsterRunStatus, int] | None
    oldest_queued: float | None
    heartbeats: Mapping[str, float | None] | None
    ticks: Sequence[LastTick] | None
    workers: Workers | None
    is_whole: bool

    @classmethod
    def of(
        cls, instance: DagsterInstance, parts: Parts, look_at_workers: LooksAtWorkers | None
    ) -> "Records":
        """Asks an instance."""
        return cls(
            runs=parts.measure("runs", partial(_runs, instance)),
            oldest_queued=parts.measure("queue", partial(_oldest_queued, instance)),
            heartbeats=parts.measure("daemons", partial(_heartbeats, instance)),
            ticks=parts.measure("ticks", partial(_ticks, instance)),
            workers=look_at_workers
            and parts.measure("workers", partial(look_at_workers, instance)),
            is_whole=not parts.failed,
        )


def _runs(instance: DagsterInstance) -> Mapping[DagsterRunStatus, int]:
    return {
        status: instance.get_runs_count(RunsFilter(statuses=[status]))
        for status in DagsterRunStatus
    }


def _heartbeats(instance: DagsterInstance) -> Mapping[str, float | None]:
    return {
        name: status.last_heartbeat.timestamp if status.last_heartbeat else None
        for name, status in sorted(instance.get_daemon_statuses().items())
        if status.required
    }


def _ticks(instance: DagsterInstance) -> Sequence[LastTick]:
    # A sensor whose code location was renamed has left its state, and last tick, behind.
    ticks = {tick.name: tick for tick in sorted(last_ticks(instance), key=lambda tick: tick.at)}
    return [tick for _, tick in sorted(ticks.items())]


def _oldest_queued(instance: DagsterInstance) -> float:
    # The ids alone: Dagster cannot read a queued run that names no code location.
    run_ids = instance.get_run_ids(RunsFilter(statuses=[DagsterRunStatus.QUEUED]))
    if not run_ids:
        return NEVER
    for run_id in reversed(run_ids[-MOST_ASKED:]):
        # Not the row's own time, which is in the time zone of the database.
        enqueued = DagsterEventType.PIPELINE_ENQUEUED
        for event in instance.get_records_for_run(run_id, of_type=enqueued, limit=1).records:
            return event.timestamp
    raise LookupError(f"the queued run {run_ids[-1]} has no record of when it was queued")


@dataclass(frozen=True)
class Months:
    """What is loaded.

    What cannot be measured is None.

    Attributes:
        states: the number of months by color and state.
        stored: the number of months by store and color, of stores that answered.
        silent: the stores that did not.
        rows: rows by color and whether they are synthetic, as they were loaded: of months that
            every store that answered has, and the others too by Dagster's records.
        is_whole: whether all could be measured. A store that is silent is no failure: that is what
            was measured.
    """

    states: Mapping[tuple[str, MonthState], int] | None
    stored: Mapping[tuple[str, str], int]
    silent: Collection[str]
    rows: Mapping[tuple[str, bool], int] | None
    is_whole: bool

    @classmethod
    def of(cls, records: MonthRecords, stored: StoredMonths, parts: Parts) -> "Months":
        """Asks an instance about what the stores say."""
        return cls(
            states=parts.measure("states of months", partial(_states, records, stored)),
            stored={
                (store, color): _of_color(months, color)
                for store, months in stored.by_store.items()
                for color in records.chosen.colors
            },
            silent=stored.problems.keys(),
            rows=parts.measure("rows of months", partial(_rows, records, stored)),
            is_whole=not parts.failed,
        )


def _states(records: MonthRecords, stored: StoredMonths) -> Mapping[tuple[str, MonthState], int]:
    colors = records.chosen.colors
    states = Counter(
        (status.month.color, status.state)
        for status in month_statuses(records.chosen, colors, stored, records)
    )
    return {(c, state): states[c, state] for c in colors for state in MonthState}


def _rows(records: MonthRecords, stored: StoredMonths) -> Mapping[tuple[str, bool], int]:
    rows: Counter[tuple[str, bool]] = Counter()
    for month, loaded in loaded_months(records.instance, records.chosen).items():
        # Somebody may have removed it since it was loaded.
        if all(month in months for months in stored.by_store.values()):
            rows[month.color, loaded.is_synthetic] += loaded.rows
    return {(c, made): rows[c, made] for c in records.chosen.colors for made in (False, True)}


def _of_color(months: Iterable[TripMonth], color: str) -> int:
    return sum(month.color == color for month in months)


class KeptInstance:
    """Dagster's instance, which stays open until something fails.

    To open it takes a hundred statements, which between two hosts take seconds.
    """

    def __init__(self, opens: Opens) -> None:
        """Opens nothing yet."""
        self._opens = opens
        self._instance: DagsterInstance | None = None
        self._open = ExitStack()

    @contextmanager
    def opened(self) -> Iterator[DagsterInstance]:
        """The instance, for one thread at a time."""
        if self._instance is None:
            self._instance = self._open.enter_context(self._opens())
        try:
            yield self._instance
        except BaseException:
            self._instance = None
            with suppress(Exception):  # what has failed may not close either
                self._open.close()
            raise


class PlatformCollector(Collector):
    """Measures when it is scraped, or shows what was measured a moment ago."""

    def __init__(
        self,
        chosen: Settings,
        open_instance: Opens,
        report: Callable[[str], None],
        keeping: Keeping | None = None,
        look_at_workers: LooksAtWorkers | None = None,
    ) -> None:
        """Measures nothing yet.

        Args:
            chosen: the settings.
            open_instance: opens Dagster's instance.
            report: is called with what cannot be measured, and why, when that changes.
            keeping: for how long.
            look_at_workers: looks at the workers; by default there are none.
        """
        self._chosen, self._keeping = chosen, keeping or Keeping()
        self._look_at_workers = look_at_workers
        # Each thread has its own: while the months are counted, the records are measured.
        self._for_records, self._for_months = (
            KeptInstance(open_instance),
            KeptInstance(open_instance),
        )
        self._parts_of_records, self._parts_of_months = Parts(report), Parts(report)
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
        """All metrics; what cannot be measured is left out, and its ``up`` is 0."""
        until = time.monotonic() + PATIENCE_SECONDS
        self.begin()
        read_records = self._records.value(until)
        read_months = self._months.value(until)
        records, months = read_records.value, read_months.value
        up = _gauge("up", "Whether all could be measured: Dagster's records, and the months.", "of")
        up.add_metric(["dagster"], records is not None and records.is_whole)
        whole_months = months is not None and months.is_whole
        up.add_metric(["months"], whole_months and read_months.is_current)
        yield up
        if records is not None:
            yield from _of_records(records, time.time())
        if months is not None:
            yield from _of_months(months)

    def _ask(self) -> Records:
        with self._for_records.opened() as instance:
            records = Records.of(instance, self._parts_of_records, self._look_at_workers)
            if not (records.runs or records.heartbeats or records.ticks):
                # It may be the connection, or tables that are gone: then open it anew.
                raise LookupError("nothing of it can be measured")
            return records

    def _count(self) -> Months:
        with self._for_months.opened() as instance:
            ended = instance.get_runs_count(RunsFilter(statuses=ENDED))
            for store in self._stores.values():
                if ended != self._ended:
                    store.outdate(self._keeping.changed)
                store.begin()
            self._ended = ended
            records = MonthRecords(instance, self._chosen)
            return Months.of(records, self._stored(), self._parts_of_months)

    def _stored(self) -> StoredMonths:
        until = time.monotonic() + STORE_PATIENCE_SECONDS
        answers = {name: store.value(until).value for name, store in self._stores.items()}
        return StoredMonths(
            {name: months for name, months in answers.items() if months is not None},
            {name: "no answer" for name, months in answers.items() if months is None},
        )


def _of_records(records: Records, now: float) -> Iterable[GaugeMetricFamily]:
    if records.runs is not None:
        runs = _gauge("runs", "Runs that Dagster has records of.", "status")
        for status, number in records.runs.items():
            runs.add_metric([status.value.lower()], number)
        length = _gauge("run_queue_length", "Runs that wait in the queue.")
        length.add_metric([], records.runs[DagsterRunStatus.QUEUED])
        yield from (runs, length)

    if (oldest := records.oldest_queued) is not None:
        says = "How long the first run of the queue has waited."
        waits = _gauge("run_queue_oldest_seconds", says)
        waits.add_metric([], max(now - oldest, 0.0))
        yield waits

    if records.heartbeats is not None:
        ages = _gauge(
            "daemon_heartbeat_age_seconds",
            "Since the last sign of a daemon that should run; infinite if there never was one.",
            "daemon",
        )
        for daemon, at in records.heartbeats.items():
            ages.add_metric([daemon.lower()], NEVER if at is None else max(now - at, 0.0))
        yield ages

    if records.ticks is not None:
        yield from _of_ticks(records.ticks)

    if (workers := records.workers) is not None:
        living = _gauge("workers", "Workers that are alive.", "queue")
        for queue, number in workers.living.items():
            living.add_metric([queue], number)
        says = "How many runs workers execute at once, of those that take runs."
        places = _gauge("worker_places", says, "queue")
        for queue, number in workers.places.items():
            places.add_metric([queue], number)
        yield from (living, places)


def _of_ticks(ticks: Sequence[LastTick]) -> Iterable[GaugeMetricFamily]:
    failed = _gauge("tick_failed", "Whether the last tick of what is on failed.", "automation")
    in_a_row = _gauge("tick_failures", "How many ticks in a row have failed.", "automation")
    began = _gauge("tick_timestamp_seconds", "When the last tick that ended began.", "automation")
    for tick in ticks:
        failed.add_metric([tick.name], tick.is_red)
        in_a_row.add_metric([tick.name], tick.failures if tick.is_red else 0)
        began.add_metric([tick.name], tick.at)
    yield from (failed, in_a_row, began)


def _of_months(months: Months) -> Iterable[GaugeMetricFamily]:
    if months.states is not None:
        says = "Months that have ended, as `status` shows them."
        states = _gauge("months", says, "color", "state")
        for (color, state), number in months.states.items():
            states.add_metric([color, state], number)
        yield states

    if months.rows is not None:
        says = "Rows, as they were loaded, of months that every store still has."
        rows = _gauge("rows", says, "color", "source")
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
