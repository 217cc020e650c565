"""Backfills of months: requests them from Dagster's daemon, finds them, and follows their progress.

They are Dagster's own asset backfills, so the daemon makes one run per month, whether or not the
command still runs. (A job's backfill loses a month if the daemon dies between creating its run and
submitting it. An asset's backfill reserves its run ids first.)
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dagster import AssetsDefinition, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from taxi_platform import dagster_internals
from taxi_platform.assets.keys import CLEANED
from taxi_platform.assets.marts import mart_assets
from taxi_platform.assets.trips import trip_assets
from taxi_platform.automation.failures import will_be_retried
from taxi_platform.automation.jobs import REASON_TAG
from taxi_platform.automation.months import PARTITION_TAG, MonthRecords, month_keys, require_colors
from taxi_platform.settings import Settings
from taxi_platform.trips.month import TripMonth

BACKFILL_TAG = "dagster/backfill"

DAEMONS = ("BACKFILL", "QUEUED_RUN_COORDINATOR")
"""The daemons that a backfill needs to make progress."""

# New months come before history: the queue starts runs of higher priority first.
_TAGS = {REASON_TAG: "backfill", "dagster/priority": "-1"}


_ACCEPTING = {"ops": {CLEANED.to_python_identifier(): {"config": {"accept_replacement": True}}}}


class Progress(StrEnum):
    """The state of a month in a backfill."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class MonthProgress:
    """A month's state, and its run; None before it has one."""

    progress: Progress
    run: DagsterRun | None = None

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.progress in (Progress.DONE, Progress.FAILED)


def _assets(chosen: Settings) -> list[AssetsDefinition]:
    return [*trip_assets(chosen), *mart_assets(chosen)]


def months_between(
    chosen: Settings, colors: Iterable[str], first: str, last: str
) -> list[TripMonth]:
    """The months of colors from ``first`` to ``last``, such as ``2019-01``, both included.

    Raises:
        ValueError: there are none, or not all are partitions; the message says which exist.
    """
    months = month_keys(chosen)
    require_colors(chosen, colors)
    for name, month in (("--from", first), ("--to", last)):
        if month not in months:
            raise ValueError(
                f"{name} is {month!r}: give a month such as 2024-01; there are months from "
                f"{months[0]} (TAXI_FIRST_MONTH) to {months[-1]}, the last that has ended"
            )
    if first > last:
        raise ValueError(f"--from {first} is after --to {last}")
    between = [month for month in months if first <= month <= last]
    return [TripMonth.from_key(f"{color}|{month}") for color in colors for month in between]


def months_to_load(records: MonthRecords, months: Sequence[TripMonth]) -> list[TripMonth]:
    """The months that are not loaded completely, or whose last attempt failed."""
    wanted = {*records.missing(months), *failed_months(records, months)}
    return [month for month in months if month in wanted]


def failed_months(records: MonthRecords, months: Sequence[TripMonth]) -> set[TripMonth]:
    """The months of which an asset's last attempt failed."""
    keys = [month.key for month in months]
    failed: set[str] = set()
    for asset in _assets(records.chosen):
        failed |= dagster_internals.failed_partitions(records.instance, asset, keys)
    return {month for month in months if month.key in failed}


def request_backfill(
    records: MonthRecords, months: Sequence[TripMonth], *, accept_replacement: bool = False
) -> str:
    """Asks the daemon to load months, with one run per month for all its assets.

    Args:
        records: with the instance of that daemon.
        months: the months to load.
        accept_replacement: replace them even if their new versions differ from the loaded ones
            beyond the limits.

    Returns:
        The backfill's id.
    """
    return dagster_internals.request_backfill(
        records.instance,
        _assets(records.chosen),
        [month.key for month in months],
        tags=_TAGS,
        title=_title(months),
        run_config=_ACCEPTING if accept_replacement else None,
    )


def _title(months: Sequence[TripMonth]) -> str:
    if len(months) == 1:
        return months[0].key
    return f"{len(months)} months from {months[0].key} to {months[-1].key}"


def unfinished_backfills(
    records: MonthRecords, months: Collection[TripMonth]
) -> dict[TripMonth, str]:
    """The unfinished backfills that include some of the months, whoever requested them.

    Returns:
        The backfill's id, for each month that it has loaded or will load. Months that failed in it
        are left out: they have to be requested again.
    """
    assets = _assets(records.chosen)
    found: dict[TripMonth, str] = {}
    for backfill in dagster_internals.unfinished_backfills(records.instance):
        targets = map(TripMonth.from_key, dagster_internals.backfill_targets(backfill, assets))
        progress = follow(records.instance, dict.fromkeys(targets, backfill.backfill_id))
        if all(month.is_over for month in progress.values()):
            continue  # all its runs have ended, but the daemon has not recorded that yet
        found |= {
            month: backfill.backfill_id
            for month, state in progress.items()
            if month in months and state.progress is not Progress.FAILED
        }
    return found


def follow(
    instance: DagsterInstance, backfills: Mapping[TripMonth, str]
) -> dict[TripMonth, MonthProgress]:
    """The states of months, each in its backfill."""
    ids = sorted(set(backfills.values()))
    runs: dict[tuple[str, str], DagsterRun] = {}
    ended: set[str] = set()
    for backfill_id in ids:
        if dagster_internals.is_backfill_over(instance, backfill_id):
            ended.add(backfill_id)
        # The newest first: if a month was retried after a crash, its last run counts.
        for run in instance.get_runs(RunsFilter(tags={BACKFILL_TAG: backfill_id})):
            runs.setdefault((backfill_id, run.tags.get(PARTITION_TAG, "")), run)
    return {
        month: _progress(runs.get((backfill_id, month.key)), backfill_id in ended)
        for month, backfill_id in backfills.items()
    }


def _progress(run: DagsterRun | None, ended: bool) -> MonthProgress:
    if run is None:
        return MonthProgress(Progress.FAILED if ended else Progress.WAITING)
    if run.status is DagsterRunStatus.SUCCESS:
        return MonthProgress(Progress.DONE, run)
    if run.is_finished and (ended or not will_be_retried(run)):
        return MonthProgress(Progress.FAILED, run)
    if run.status in (DagsterRunStatus.STARTED, DagsterRunStatus.STARTING):
        return MonthProgress(Progress.RUNNING, run)
    return MonthProgress(Progress.WAITING, run)


def daemon_is_alive(instance: DagsterInstance) -> bool:
    """Whether the daemons that process backfills are running."""
    return all(status.healthy for status in instance.get_daemon_statuses(DAEMONS).values())
