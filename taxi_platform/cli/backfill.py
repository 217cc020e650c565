"""`taxi-platform backfill`: requests or finds a backfill, and shows its progress.

The daemon does the work: interrupting the command does not end the backfill, and running it again
shows the same backfill.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from dagster import DagsterInstance
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from taxi_platform.assets.records import synthetic_months
from taxi_platform.automation.backfills import (
    MonthProgress,
    Progress,
    daemon_is_alive,
    follow,
    months_to_load,
    request_backfill,
    unfinished_backfills,
)
from taxi_platform.automation.failures import failure_of
from taxi_platform.automation.months import MonthRecords
from taxi_platform.cli.terminal import print_folded
from taxi_platform.printable import counted
from taxi_platform.safe_texts import safe_text
from taxi_platform.trips.month import TripMonth

POLL_SECONDS = 2.0
INTERRUPTED = 130

NO_DAEMON = (
    "No daemon is running, so nothing happens yet: start one with `dagster-daemon run`, or start "
    "everything with `make dev`."
)


class NoInstanceError(Exception):
    """Dagster's instance cannot be used; says why, and what to do."""


def open_instance() -> DagsterInstance:
    """The Dagster instance of the environment, to be closed by the caller.

    Raises:
        NoInstanceError: there is none, or its database cannot be reached.
    """
    from taxi_platform.dagster_internals import DagsterError, DagsterHomeNotSetError
    from taxi_platform.dagster_storage import REMEDY, StorageUnavailableError

    try:
        instance = DagsterInstance.get()
        try:
            instance.get_daemon_statuses()  # fails if the storage does not answer
        except BaseException:
            instance.dispose()
            raise
    except DagsterHomeNotSetError:
        raise NoInstanceError(f"DAGSTER_HOME is not set: {REMEDY}") from None
    except StorageUnavailableError as error:
        raise NoInstanceError(error.message) from None
    except DagsterError as error:
        said = " ".join(str(error).split())[:300]
        home = os.environ["DAGSTER_HOME"]
        raise NoInstanceError(f"Dagster in {home} cannot be used ({said}): {REMEDY}") from error
    return instance


def run_backfill(
    records: MonthRecords,
    months: Sequence[TripMonth],
    console: Console,
    *,
    missing_only: bool = False,
    detach: bool = False,
    accept_replacement: bool = False,
) -> int:
    """Loads months and shows progress.

    Args:
        records: the records of months, with the Dagster instance whose daemon loads them.
        months: the months to load.
        console: where to show progress.
        missing_only: leave out months that are loaded completely.
        detach: request the backfill and do not wait.
        accept_replacement: replace months even if their new versions differ beyond the limits.

    Returns:
        An exit code: 0 if all months are loaded, 1 if some failed, 130 if interrupted.
    """
    instance = records.instance
    backfills = unfinished_backfills(records, months)
    if backfills:
        ids = ", ".join(sorted(set(backfills.values())))
        are = "is" if len(backfills) == 1 else "are"
        print_folded(
            console, f"{len(backfills)} of the months {are} part of the unfinished backfill {ids}."
        )
    wanted = [month for month in months if month not in backfills]
    if missing_only:
        wanted = months_to_load(records, wanted)
    if wanted:
        backfill_id = request_backfill(records, wanted, accept_replacement=accept_replacement)
        backfills |= dict.fromkeys(wanted, backfill_id)
        console.print(f"Requested backfill {backfill_id} of {counted(len(wanted), 'month')}.")
    if not backfills:
        console.print("All of the months are loaded: there is nothing to do.")
        return 0
    if not daemon_is_alive(instance):
        print_folded(console, NO_DAEMON, "yellow")
    if detach:
        return 0
    try:
        progress = _watch(instance, backfills, console)
    except KeyboardInterrupt:
        print_folded(
            console,
            "\nThe backfill continues in the daemon. Run the same command again to see progress; "
            "cancel it in the UI, under Runs, Backfills.",
        )
        return INTERRUPTED
    return report_progress(records, progress, console)


def _watch(
    instance: DagsterInstance, backfills: Mapping[TripMonth, str], console: Console
) -> dict[TripMonth, MonthProgress]:
    """Shows progress until every month is loaded or failed."""
    printed: set[TripMonth] = set()
    with ProgressBar(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("months", total=len(backfills), state="")
        while True:
            progress = follow(instance, backfills)
            over = [month for month, state in progress.items() if state.is_over]
            bar.update(task, completed=len(over), state=_state(progress))
            for month in sorted(set(over) - printed):
                failed = progress[month].progress is Progress.FAILED
                if failed or not console.is_terminal:
                    bar.console.print(f"  {month}: {progress[month].progress}")
                printed.add(month)
            if len(over) == len(progress):
                return progress
            time.sleep(POLL_SECONDS)


def _state(progress: Mapping[TripMonth, MonthProgress]) -> str:
    running = [m.key for m, state in progress.items() if state.progress is Progress.RUNNING]
    failed = sum(state.progress is Progress.FAILED for state in progress.values())
    said = [f"running {', '.join(running)}"] if running else []
    if failed:
        said.append(f"{failed} failed")
    return "; ".join(said) or "waiting for the daemon"


def report_progress(
    records: MonthRecords, progress: Mapping[TripMonth, MonthProgress], console: Console
) -> int:
    """Says how many months were loaded, and of each that failed why and what to do.

    Returns:
        An exit code: 0 if none failed, else 1.
    """
    failed = {m: s for m, s in progress.items() if s.progress is Progress.FAILED}
    loaded = progress.keys() - failed.keys()
    console.print(f"{counted(len(loaded), 'month')} loaded, {len(failed)} failed.")
    if synthetic := synthetic_months(records.instance, loaded):
        console.print(f"Synthetic: {len(synthetic)}, because TAXI_SOURCE_URL is 'synthetic'.")
    if not failed:
        return 0
    for month, state in sorted(failed.items()):
        message = "it was canceled, or its backfill failed before it had a run"
        if state.run is not None:
            with suppress(LookupError):
                message = failure_of(records.instance, state.run).cause(month.key)
            message = f"{message} (run {state.run.run_id})"
        print_folded(console, f"  {month}: {safe_text(message)}")
    console.print("Once the cause is fixed, load them again with:")
    for command in repair_commands(failed):
        print_folded(console, f"  {command}")
    return 1


def repair_commands(months: Iterable[TripMonth]) -> list[str]:
    """Commands that load the failed months again, one for each color."""
    by_color: dict[str, list[str]] = {}
    for month in sorted(months):
        by_color.setdefault(month.color, []).append(month.year_month)
    return [
        f"taxi-platform backfill --color {color} --from {found[0]} --to {found[-1]} --missing-only"
        for color, found in by_color.items()
    ]
