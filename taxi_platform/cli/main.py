"""The entry point `taxi-platform` and its commands."""

import json
import signal
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_platform.cli.local import local_app
from taxi_platform.cli.metrics import metrics
from taxi_platform.cli.query import query
from taxi_platform.cli.report import report
from taxi_platform.cli.status import status
from taxi_platform.cli.terminal import accept_all_characters, console, fail, print_folded, say
from taxi_platform.cli.worker import worker
from taxi_platform.environment import read_env_file
from taxi_platform.errors import SettingsError, StoreError
from taxi_platform.printable import printable
from taxi_platform.trips.errors import TripFileError

if TYPE_CHECKING:
    from taxi_platform.trips.month import TripMonth

app = typer.Typer(
    name="taxi-platform",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(local_app)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"taxi-platform {version('taxi-platform')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """NYC taxi trips, month by month, into files, GCS, BigQuery and Postgres."""


def main() -> None:
    """The entry point: reads settings from the shell and from .env in the working folder."""
    accept_all_characters()
    _stop_as_by_ctrl_c()
    try:
        read_env_file(Path.cwd())
    except SettingsError as error:
        say(f"Error: {error}", err=True)
        sys.exit(1)
    app()


def _stop_as_by_ctrl_c() -> None:
    """Makes SIGTERM end a command as Ctrl-C does, also in the background.

    Commands that a shell starts in the background ignore SIGINT. Dagster handles SIGTERM as it
    handles SIGINT, so it would ignore both.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@app.command()
def demo(
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace the demo's months even if they hold real trips."),
    ] = False,
) -> None:
    """Run two synthetic months through the whole platform on the embedded stack."""
    from taxi_platform.cli.demo import DemoError, run_demo
    from taxi_platform.local.errors import LocalStackError

    try:
        reconciled = run_demo(Path.cwd(), force=force)
    except (DemoError, LocalStackError, SettingsError) as error:
        raise fail(str(error)) from error
    if not reconciled:
        raise typer.Exit(1)


@app.command()
def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Remove what killed runs left behind.")
    ] = False,
) -> None:
    """Check settings, credentials and every store, and find what killed runs left behind."""
    from taxi_platform.cli.doctor import State, examine
    from taxi_platform.safe_texts import safe_text

    colors = {State.FINE: "green", State.LEFT: "yellow", State.WRONG: "red"}
    output = console()
    worst = 0
    for finding in examine(fix=fix):
        line = safe_text(f"{finding.state:<6}{finding.where}: {finding.says}")
        print_folded(output, line, colors[finding.state], hanging=6)
        worst = max(worst, finding.state is not State.FINE)
    if worst:
        raise typer.Exit(1)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A trip file: Parquet, CSV or gzipped CSV.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    color: Annotated[
        str | None, typer.Option(help="Its color; by default derived from its header or name.")
    ] = None,
    month: Annotated[
        str | None,
        typer.Option(help="Its month, such as 2024-01; by default derived from the file."),
    ] = None,
) -> None:
    """Read a trip file with the platform's reader and rules, and report what is in it."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from taxi_platform.trips.types import TRIP_TYPES

    if color is not None and color not in TRIP_TYPES:
        raise fail(f"--color is {color!r}: one of {', '.join(TRIP_TYPES)}")
    progress = Progress(
        TextColumn("{task.fields[rows]:,} rows read"),
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    try:
        with progress:
            task = progress.add_task("read", rows=0)
            report = _inspect(file, color, month, lambda n: progress.update(task, rows=n))
    except (TripFileError, ValueError) as error:
        raise fail(" ".join(str(error).split())) from error
    say(json.dumps(report, indent=2) if as_json else printable(_describe(report)))


def _inspect(file: Path, color: str | None, month: str | None, progress: Any) -> dict[str, Any]:
    from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
    from taxi_platform.trips.reader import infer_month, open_trip_file

    reader = open_trip_file(file, color)
    try:
        which = infer_month(file, reader) if month is None else _month(reader.color, month)
    finally:
        reader.close()
    # Without a limit on rejected rows: nothing is loaded.
    trips = clean_trips(file, which, CleaningOptions(max_rejected_share=1.0))
    for _ in trips:
        progress(trips.summary.rows_read)
    summary = trips.summary
    failure = summary.first_failure
    return {
        "color": which.color,
        "month": which.year_month,
        "columns_mapped": {name: c.name for name, c in trips.columns.mapped.items()},
        "columns_unknown": list(trips.columns.unknown),
        "rows_read": summary.rows_read,
        "rows_kept": summary.rows_kept,
        "rows_rejected": summary.rows_rejected,
        "rejected_by_reason": dict(summary.rejected_by_reason.most_common()),
        "first_unparseable": None if failure is None else asdict(failure),
        "warnings": summary.warnings,
    }


@app.command()
def rules(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the cleaning rules: what each rejects, and whether it applies by default."""
    from rich.table import Column, Table

    from taxi_platform.trips.types import every_rule

    if as_json:
        listed = [
            {
                "name": rule.name,
                "reason": rule.reason,
                "on_by_default": rule.on_by_default,
                "description": rule.description,
                "colors": list(colors),
            }
            for rule, colors in every_rule().items()
        ]
        say(json.dumps(listed, indent=2))
        return
    # Users type the names of the rules.
    table = Table(Column("rule", no_wrap=True), "reason of its rejects", "default", "rejects")
    for rule, colors in every_rule().items():
        default = "on" if rule.on_by_default else "off"
        rejects = f"{rule.description} ({', '.join(colors)})"
        table.add_row(rule.name, rule.reason, default, rejects)
    console().print(table)
    say(
        "The config of cleaned_trips changes them: rules lists those that apply, "
        "days_outside_month is a parameter."
    )


@app.command()
def rejects(
    partition: Annotated[str, typer.Argument(help="A partition, such as 'green|2024-01'.")],
    examples: Annotated[int, typer.Option(min=0, help="Rows to show for each reason.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show the rejected rows of a month, by reason, with examples."""
    from taxi_platform.cli.rejects import describe_rejects, find_rejects
    from taxi_platform.settings import load_settings
    from taxi_platform.trips.month import TripMonth

    try:
        month = TripMonth.from_key(partition)
        found = find_rejects(load_settings().landing_zone(), month, examples)
    except (ValueError, SettingsError, StoreError) as error:
        raise fail(str(error)) from error
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        print_folded(console(), printable(describe_rejects(found)))


@app.command()
def backfill(
    color: Annotated[list[str], typer.Option(help="A color; repeat the option for more colors.")],
    first: Annotated[str, typer.Option("--from", help="The first month, such as 2019-01.")],
    last: Annotated[str, typer.Option("--to", help="The last month.")],
    missing_only: Annotated[
        bool, typer.Option("--missing-only", help="Leave out months that are loaded completely.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Request the backfill, and do not wait.")
    ] = False,
    accept_replacement: Annotated[
        bool,
        typer.Option(
            "--accept-replacement",
            help="Replace months even if their new versions differ beyond the limits.",
        ),
    ] = False,
) -> None:
    """Load a range of months through Dagster's daemon, with one run per month; show progress.

    You may interrupt it at any time: the daemon continues, and the same command shows progress
    again. Exits with 1 if months failed, and reports which, why, and what to do.
    """
    from taxi_platform.automation.backfills import months_between
    from taxi_platform.automation.months import MonthRecords
    from taxi_platform.cli.backfill import NoInstanceError, open_instance, run_backfill
    from taxi_platform.settings import load_settings

    try:
        chosen = load_settings()
        months = months_between(chosen, sorted(set(color)), first, last)
        with open_instance() as instance:
            code = run_backfill(
                MonthRecords(instance, chosen),
                months,
                console(),
                missing_only=missing_only,
                detach=detach,
                accept_replacement=accept_replacement,
            )
    except (NoInstanceError, SettingsError, ValueError) as error:
        raise fail(str(error)) from error
    raise typer.Exit(code)


app.command()(metrics)
app.command()(query)
app.command()(report)
app.command()(status)
app.command()(worker)


def _month(color: str, text: str) -> "TripMonth":
    from taxi_platform.trips.month import TripMonth, parse_month

    try:
        return TripMonth(color, parse_month(text))
    except ValueError as error:
        raise ValueError(f"--month is {text!r}: {error}") from None


def _describe(report: dict[str, Any]) -> str:
    mapped = [
        name if name == canonical else f"{name} -> {canonical}"
        for name, canonical in report["columns_mapped"].items()
    ]
    reasons = [f"  {reason}: {n:,}" for reason, n in report["rejected_by_reason"].items()]
    if failure := report["first_unparseable"]:
        reasons.append(f"first unparseable: line {failure['line_number']:,}: {failure['what']}")
    return "\n".join(
        [
            f"{report['color']} trips of {report['month']}",
            f"columns mapped ({len(mapped)}): {', '.join(mapped)}",
            f"columns unknown: {', '.join(report['columns_unknown']) or 'none'}",
            (
                f"rows read {report['rows_read']:,} = kept {report['rows_kept']:,} "
                f"+ rejected {report['rows_rejected']:,}"
            ),
            *reasons,
            *(f"warning: {warning}" for warning in report["warnings"]),
        ]
    )


if __name__ == "__main__":
    main()
