"""The demo: loads two synthetic months through the whole platform, then counts rows in the stores.

It materializes the code location's own assets on the embedded stack. To verify the result, it
queries every store through the store's own client.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from taxi_platform.cli.terminal import console
from taxi_platform.errors import StoreError
from taxi_platform.local.stack import LocalStack
from taxi_platform.settings import Settings, load_settings
from taxi_platform.sources.address import is_synthetic
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.base import StoreType
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

LOOKS = {
    "Trips by day": "SELECT CAST(pickup_datetime AS DATE) AS day, COUNT(*) AS trips, "
    "CAST(SUM(total_amount) AS BIGINT) AS dollars "
    "FROM trips.green_trips GROUP BY day ORDER BY day",
    "Trips by payment type": "SELECT payment_type, COUNT(*) AS trips, "
    "CAST(SUM(tip_amount) AS BIGINT) AS tips "
    "FROM trips.yellow_trips GROUP BY payment_type ORDER BY trips DESC",
}
"""Queries in the SQL that all stores share, whose answers fit a terminal."""

SETTINGS = {
    "TAXI_SOURCE_URL": "synthetic",
    # Those of the demo's months, whatever else is set.
    "TAXI_COLORS": ",".join(sorted(month.color for month in DEMO_MONTHS)),
    "TAXI_FIRST_MONTH": "2019-01",
}

CENT = Decimal("0.01")


class DemoError(Exception):
    """The demo could not run; the message says why and what to do."""


@dataclass(frozen=True)
class Contents:
    """A store's contents for a month: rows, and the sum of their total_amount in US dollars."""

    rows: int
    total_amount: Decimal


@dataclass(frozen=True)
class DemoResult:
    """The result of one month: what the platform reports, and what the stores contain."""

    month: TripMonth
    rows_read: int
    rejected_by_reason: Mapping[str, int]
    cleaned: Contents
    stores: Mapping[str, Contents]
    seconds: Mapping[str, float]

    @property
    def reconciled(self) -> bool:
        """Whether no row was lost and every store contains exactly the kept rows."""
        rejected = sum(self.rejected_by_reason.values())
        return self.rows_read == self.cleaned.rows + rejected and all(
            contents == self.cleaned for contents in self.stores.values()
        )


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
    stack.up(lambda line: output.print(f"  {line}"))
    os.environ.update(stack.environment() | SETTINGS)
    output.print(
        "\nTwo months of synthetic trips: generated from a seed, and as dirty as the TLC's files. "
        "No row is real.",
        soft_wrap=True,
    )
    from dagster import DagsterInstance

    from taxi_platform.assets.keys import LOADED
    from taxi_platform.assets.trips import pools

    with DagsterInstance.get() as instance:
        if not force:
            _refuse_real_months(instance)
        for pool in pools(load_settings()):  # which the UI would show after its first queued run
            instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
        with _progress(output) as progress:
            runs = [_materialize(month, instance, progress) for month in DEMO_MONTHS]
            _load_zones(instance, progress)
            _run("loaded_months", [LOADED], instance, progress)
    results = [_ask_stores(month, *run) for month, run in zip(DEMO_MONTHS, runs, strict=True)]
    _print_results(output, results)
    return _print_verdict(output, results, _write_report())


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
    from taxi_platform.automation.months import MonthRecords, metadata_of
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
        The metadata of ``cleaned_trips``, and the seconds that each asset took.
    """
    from taxi_platform.assets.keys import mart_keys, trip_keys

    chosen = load_settings()
    keys = [*trip_keys(chosen), *mart_keys(chosen)]
    result = _run(month.key, keys, instance, progress, month.key)
    cleaned = result.asset_materializations_for_node("cleaned_trips")[0].metadata
    seconds = {
        e.step_key or "": e.step_success_data.duration_ms / 1000
        for e in result.all_events
        if e.is_step_success
    }
    return {name: value.value for name, value in cleaned.items()}, seconds


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


def _ask_stores(month: TripMonth, cleaned: dict[str, Any], seconds: dict[str, float]) -> DemoResult:
    chosen = load_settings()
    return DemoResult(
        month=month,
        rows_read=cleaned["rows_read"],
        rejected_by_reason=cleaned["rejected_by_reason"],
        cleaned=Contents(cleaned["dagster/row_count"], _cents(cleaned["total_amount"])),
        stores={s.label: _ask(month, chosen, s) for s in chosen.table_stores},
        seconds=seconds,
    )


def _cents(amount: float | Decimal | None) -> Decimal:
    return Decimal(str(amount or 0)).quantize(CENT)


def _ask(month: TripMonth, chosen: Settings, kind: StoreType) -> Contents:
    with chosen.open_store(kind.name) as store:
        table = store.table_name(f"{month.color}_trips")
        # The name comes from the settings and the month, and the month is a date.
        found = first_rows(
            store,
            f"SELECT COUNT(*), SUM(total_amount) FROM {table} "  # noqa: S608
            f"WHERE data_file_month = DATE '{month.month}'",
            1,
        )
    rows, total = found.rows[0]
    return Contents(rows, _cents(total))


def _print_results(console: Console, results: list[DemoResult]) -> None:
    table = Table(title="synthetic trips", title_justify="left")
    table.add_column("")
    for result in results:
        table.add_column(result.month.key, justify="right")

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    row("rows read", *(f"{r.rows_read:,}" for r in results))
    row("kept", *(f"{r.cleaned.rows:,}" for r in results))
    row("rejected", *(f"{sum(r.rejected_by_reason.values()):,}" for r in results))
    for reason in sorted({reason for r in results for reason in r.rejected_by_reason}):
        row(f"  {reason}", *(f"{r.rejected_by_reason.get(reason, 0):,}" for r in results))
    stores = list(results[0].stores)
    for store in stores:
        row(f"rows in {store}", *(f"{r.stores[store].rows:,}" for r in results))
    row("total_amount kept, $", *(f"{r.cleaned.total_amount:,}" for r in results))
    for store in stores:
        row(f"  in {store}, $", *(f"{r.stores[store].total_amount:,}" for r in results))
    table.add_section()
    for step in results[0].seconds:
        row(f"{step}, s", *(f"{r.seconds[step]:.2f}" for r in results))
    console.print(table)


def _print_verdict(console: Console, results: list[DemoResult], report: Path) -> bool:
    read = sum(r.rows_read for r in results)
    kept = sum(r.cleaned.rows for r in results)
    rejected = sum(sum(r.rejected_by_reason.values()) for r in results)
    contents = ", ".join(
        f"{store} {sum(r.stores[store].rows for r in results)}" for store in results[0].stores
    )
    reconciled = all(r.reconciled for r in results)
    command = _command()
    console.print(f"\nReport:         {report.as_uri()}", soft_wrap=True)
    console.print("Open the UI:    make dev, then http://127.0.0.1:3000", soft_wrap=True)
    for store, (what, look) in zip(load_settings().table_stores, cycle(LOOKS.items())):
        console.print(f"{what}, from {store.label}:")
        console.print(f"  {command} query --store {store.name} '{look}'", soft_wrap=True)
    console.print(
        f"Any client:     .env has the addresses\nStop the stack: {command} local down\n",
        soft_wrap=True,
    )
    # The last line, for people and scripts alike.
    console.print(
        f"{'reconciled' if reconciled else 'NOT RECONCILED'}: {len(results)} partitions, "
        f"{read} rows read = {kept} kept + {rejected} rejected; {contents}",
        soft_wrap=True,
    )
    return reconciled


def _command() -> str:
    """This command as the user can type it, also without an activated virtual environment."""
    beside = Path(sys.executable).with_name("taxi-platform")
    if shutil.which("taxi-platform") or not beside.exists():
        return "taxi-platform"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
