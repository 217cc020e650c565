"""The demo: loads two synthetic months through the whole platform, then counts rows in the stores.

It materializes the code location's own assets on the embedded stack. To verify the result, it
queries every store through the store's own client.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from taxi_platform.cli.demo_result import ask_stores, print_results, print_verdict
from taxi_platform.cli.terminal import console, print_folded
from taxi_platform.errors import StoreError
from taxi_platform.local.stack import LocalStack
from taxi_platform.settings import load_settings
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.month import TripMonth

if TYPE_CHECKING:
    from dagster import (
        AssetKey,
        DagsterEvent,
        DagsterInstance,
        EventLogEntry,
        ExecuteInProcessResult,
    )

DEMO_MONTHS = (TripMonth.from_key("green|2024-01"), TripMonth.from_key("yellow|2021-01"))
"""One month of each color and of each published format, Parquet and gzipped CSV."""

SETTINGS = {
    "TAXI_SOURCE_URL": "synthetic",
    # Those of the demo's months, whatever else is set.
    "TAXI_COLORS": ",".join(sorted(month.color for month in DEMO_MONTHS)),
    "TAXI_FIRST_MONTH": "2019-01",
}


class DemoError(Exception):
    """The demo could not run; the message says why and what to do."""


def run_demo(project_dir: Path, *, force: bool = False) -> bool:
    """Runs the demo and prints its result.

    Args:
        project_dir: the folder with dagster.yaml.
        force: replace the demo's months even if they contain real trips.

    Returns:
        Whether everything reconciled.

    Raises:
        DemoError: the environment is not local, or a month failed.
        LocalStackError: the embedded stack does not start.
    """
    output = console()
    if os.environ.get("TAXI_ENV", "local") != "local":
        raise DemoError("the demo runs on the embedded stack only: unset TAXI_ENV")
    output.print("The embedded stack:")
    stack = LocalStack(project_dir)
    stack.up(lambda line: print_folded(output, f"  {line}"))
    os.environ.update(stack.environment() | SETTINGS)
    print_folded(
        output,
        "\nTwo months of synthetic trips: generated from a seed, and as dirty as the TLC's files. "
        "No row is real.",
        hanging=0,
    )
    from dagster import DagsterInstance

    from taxi_platform.assets.keys import LOADED
    from taxi_platform.assets.trips import pools

    with DagsterInstance.get() as instance:
        if not force:
            _refuse_real_months(instance)
        records = instance.event_log_storage
        for pool in set(pools(load_settings())) - records.get_concurrency_keys():
            # The UI would show a pool after its first queued run.
            records.initialize_concurrency_limit_to_default(pool)
        with _progress(output) as progress:
            runs = [_materialize(month, instance, progress) for month in DEMO_MONTHS]
            _load_zones(instance, progress)
            _run("loaded_months", [LOADED], instance, progress)
    results = [ask_stores(month, *run) for month, run in zip(DEMO_MONTHS, runs, strict=True)]
    print_results(output, results)
    return print_verdict(output, results, _write_report())


def _write_report() -> Path:
    """Writes the report of the demo's months.

    Raises:
        DemoError: it cannot be written.
    """
    from taxi_platform.cli.report import write_report

    months = sorted(month.year_month for month in DEMO_MONTHS)
    try:
        return write_report(load_settings(), [], months[0], months[-1])
    except (StoreError, ValueError) as error:
        raise DemoError(f"the report cannot be written: {error}") from error


def _refuse_real_months(instance: "DagsterInstance") -> None:
    from taxi_platform.assets.keys import RAW
    from taxi_platform.assets.records import metadata_of
    from taxi_platform.automation.months import MonthRecords
    from taxi_platform.io_managers.metadata import SOURCE

    records = MonthRecords(instance, load_settings())
    for month in DEMO_MONTHS:
        record = records.latest(RAW, month)
        source = metadata_of(record).get(SOURCE) if record else None
        if source is not None and not is_synthetic(source):
            raise DemoError(
                f"{month} was loaded from {source}; the demo would replace it by synthetic trips. "
                "Run it in another folder, or with --force"
            )


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    with Progress(
        TextColumn("  {task.description:<14}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[step]}"),
        console=console,
    ) as progress:
        yield progress


def _materialize(
    month: TripMonth, instance: "DagsterInstance", progress: Progress
) -> tuple[dict[str, Any], dict[str, float]]:
    """Materializes all assets of a month, from the file to the marts.

    Returns:
        The metadata of ``cleaned_trips``, and the seconds that each asset and all checks took.
    """
    from taxi_platform.assets.keys import mart_keys, trip_keys

    chosen = load_settings()
    keys = [*trip_keys(chosen), *mart_keys(chosen)]
    result = _run(month.key, keys, instance, progress, month.key)
    cleaned = result.asset_materializations_for_node("cleaned_trips")[0].metadata
    made = {e.step_key for e in result.all_events if e.is_step_materialization}
    seconds: dict[str, float] = {}
    checks = 0.0
    for event in result.all_events:
        if event.is_step_success:
            took = event.step_success_data.duration_ms / 1000
            if event.step_key in made:
                seconds[event.step_key or ""] = took
            else:
                checks += took
    return {name: value.value for name, value in cleaned.items()}, seconds | {"checks": checks}


def _load_zones(instance: "DagsterInstance", progress: Progress) -> None:
    """Loads made-up zones, unless real ones are there."""
    from taxi_platform.assets.keys import ZONES
    from taxi_platform.io_managers.metadata import SOURCE

    event = instance.get_latest_materialization_event(ZONES)
    loaded = event.asset_materialization if event else None
    source = loaded.metadata.get(SOURCE) if loaded else None
    if loaded is None or (source is not None and is_synthetic(str(source.value))):
        _run("taxi_zones", [ZONES], instance, progress)


def _run(
    what: str,
    keys: "Sequence[AssetKey]",
    instance: "DagsterInstance",
    progress: Progress,
    partition_key: str | None = None,
) -> "ExecuteInProcessResult":
    """Materializes assets and shows progress.

    Raises:
        DemoError: an asset failed.
    """
    from taxi_platform.automation.jobs import INGEST_MONTH
    from taxi_platform.dagster_internals import make_new_run_id
    from taxi_platform.definitions import build_defs

    job = build_defs(load_settings()).resolve_job_def(INGEST_MONTH)
    task = progress.add_task(what, total=len(keys), step="")
    run_id = make_new_run_id()

    def watch(entry: "EventLogEntry", _cursor: str) -> None:
        event = entry.dagster_event
        if event is not None and event.is_step_start:
            progress.update(task, step=event.step_key)
        elif event is not None and event.is_step_materialization:
            progress.advance(task)

    with _watched(instance, run_id, watch):
        result = job.execute_in_process(
            instance=instance,
            partition_key=partition_key,
            run_id=run_id,
            asset_selection=list(keys),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    if result.success:
        progress.update(task, completed=len(keys), step="done")
    else:
        progress.update(task, step="failed")
        if _was_interrupted(result.all_events):
            raise KeyboardInterrupt
        raise DemoError(_failure(what, result.all_events))
    return result


@contextmanager
def _watched(
    instance: "DagsterInstance", run_id: str, watch: "Callable[[EventLogEntry, str], None]"
) -> Iterator[None]:
    """Calls a function with each event of a run, which an interrupt ends at once."""
    from taxi_platform.dagster_internals import INTERRUPTS, make_runs_interruptible

    make_runs_interruptible()
    instance.watch_event_logs(run_id, None, watch)
    try:
        yield
    except INTERRUPTS:
        raise KeyboardInterrupt from None
    finally:
        instance.end_watch_event_logs(run_id, watch)


def _was_interrupted(events: "Sequence[DagsterEvent]") -> bool:
    """Whether a step ended by Ctrl-C or SIGTERM, which Dagster records as a failure of the step."""
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    return any(e is not None and e.cls_name == "DagsterExecutionInterruptedError" for e in errors)


def _failure(what: str, events: "Sequence[DagsterEvent]") -> str:
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data
            text = said.description if said and said.description else data.error_display_string
            return f"{event.step_key} of {what} failed: {text}"
    return f"the run of {what} failed"
