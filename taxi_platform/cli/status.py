"""`taxi-platform status`: a calendar of the months, from what the stores and Dagster say."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_platform.cli.terminal import console, fail, print_folded, say, say_error
from taxi_platform.errors import SettingsError

if TYPE_CHECKING:
    from rich.text import Text

    from taxi_platform.automation.calendar import MonthStatus, StoredMonths
    from taxi_platform.automation.months import MonthRecords
    from taxi_platform.settings import Settings

MOST_NOTES = 10
"""How many months are explained one by one; --json has all."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SIGNS = {
    "loaded": ("#", "green", "loaded in {stores}"),
    "synthetic": ("S", "magenta", "synthetic: loaded in {stores}, and no row is real"),
    "partly": ("+", "yellow", "loaded in some of {stores}"),
    "failed": ("F", "red", "failed: the last run of the month"),
    "overdue": ("O", "red", "overdue: it ended {days} days ago or more, and no store has it"),
    "missing": ("-", "yellow", "missing: history that was never loaded, or removed"),
    "not due": (".", "", "not due: the TLC publishes about two months late"),
    "unknown": ("?", "red", "unknown: no store answered"),
}
"""Of each state: its sign, which every terminal has, its color and what it means."""


@dataclass(frozen=True)
class Report:
    """What is shown: the months, the stores that answered, and what could not be asked.

    ``causes`` says why months failed, by partition key; not of all if they are many.
    """

    months: "Sequence[MonthStatus]"
    stores: "StoredMonths"
    problems: dict[str, str]
    causes: dict[str, str]


def status(
    color: Annotated[
        list[str] | None,
        typer.Option(help="A color, by default all of TAXI_COLORS; repeat it for more."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show for each month whether it is loaded, failed, missing or overdue.

    Asks every store of TAXI_STORES for its months, and Dagster for their runs. Exits with 1 if one
    of them did not answer; the rest is shown.
    """
    from taxi_platform.automation.months import require_colors
    from taxi_platform.settings import load_settings

    try:
        chosen = load_settings()
        colors = sorted(set(color or chosen.colors))
        require_colors(chosen, colors)
    except (SettingsError, ValueError) as error:
        raise fail(str(error)) from error
    report = _report(chosen, colors)
    if as_json:
        say(json.dumps(_as_json(report), indent=2))
    else:
        _show(report, chosen)
    if report.problems:
        raise typer.Exit(1)


def _report(chosen: "Settings", colors: Sequence[str]) -> Report:
    from taxi_platform.automation.calendar import month_statuses, stored_months
    from taxi_platform.automation.months import MonthRecords
    from taxi_platform.cli.backfill import NoInstanceError, open_instance

    stored = stored_months(chosen, colors)
    try:
        with open_instance() as instance:
            records = MonthRecords(instance, chosen)
            months = month_statuses(chosen, colors, stored, records)
            return Report(months, stored, dict(stored.problems), _causes(records, months))
    except NoInstanceError as error:
        problems = {**stored.problems, "dagster": str(error)}
        return Report(month_statuses(chosen, colors, stored, None), stored, problems, {})


def _causes(records: "MonthRecords", months: "Sequence[MonthStatus]") -> dict[str, str]:
    """Why the newest of the failed months failed, by partition key."""
    from taxi_platform.automation.failures import failure_of

    failed = [status.month for status in months if status.state == "failed"]
    causes = {}
    for month in sorted(failed, key=lambda month: month.month)[-MOST_NOTES:]:
        if run := records.failed_run(month):
            with suppress(LookupError):
                failure = failure_of(records.instance, run)
                causes[month.key] = f"{failure.headline(month.key)}: {failure.cause(month.key)}"
    return causes


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "stores": {s: len(months) for s, months in report.stores.by_store.items()},
        "errors": report.problems,
        "totals": dict(Counter(str(status.state) for status in report.months)),
        "months": [
            {
                "partition": status.month.key,
                "state": str(status.state),
                "stores": list(status.stores),
                "lost": list(status.lost),
                "cause": report.causes.get(status.month.key),
            }
            for status in report.months
        ],
    }


def _show(report: Report, chosen: "Settings") -> None:
    output = console()
    for line in (*_calendar(report.months), "", *_legend(report, chosen)):
        output.print(line, soft_wrap=True)
    for note in _notes(report, chosen):
        print_folded(output, note)
    for where, problem in report.problems.items():
        say_error(f"{where}: {problem}")


def _calendar(months: "Sequence[MonthStatus]") -> "Iterable[Text | str]":
    from rich.text import Text

    width = max(len(status.month.color) for status in months) if months else 0
    yield f"{'':{width}}      {' '.join(MONTHS)}"
    rows: dict[tuple[str, int], dict[int, MonthStatus]] = {}
    for status in months:
        key = (status.month.color, status.month.month.year)
        rows.setdefault(key, {})[status.month.month.month] = status
    for (color, year), row in rows.items():
        line = Text(f"{color:<{width}} {year} ")
        for number in range(1, 13):
            sign, style, _ = SIGNS[row[number].state] if number in row else (" ", "", "")
            line.append(f" {sign}  ", style)
        line.rstrip()
        yield line


def _legend(report: Report, chosen: "Settings") -> "Iterable[Text | str]":
    from rich.text import Text

    counts = Counter(str(status.state) for status in report.months)
    stores = ", ".join(report.stores.by_store) or "no store"
    for state, (sign, style, meaning) in SIGNS.items():
        if counts[state] or state not in ("unknown", "synthetic"):
            said = meaning.format(stores=stores, days=chosen.overdue_days)
            yield Text.assemble((sign, style), f" {counts[state]:>5,}  {said}")
    counted = [f"{store} {len(has):,}" for store, has in report.stores.by_store.items()]
    yield f"months in {', '.join(counted)}; in all {len(report.months):,}" if counted else ""


def _notes(report: Report, chosen: "Settings") -> Iterable[str]:
    """Why months failed, which lack a store, and the commands that load what is not loaded."""
    from taxi_platform.cli.backfill import repair_commands
    from taxi_platform.io_managers.failures import next_step
    from taxi_platform.safe_texts import safe_text

    months = report.months
    notes = [
        f"{s.month}: Dagster recorded a load, but it is not in {', '.join(s.lost)}: "
        f"{next_step(s.month)}"
        for s in months
        if s.lost
    ]
    notes += [
        f"{s.month}: only in {', '.join(s.stores)}"
        for s in months
        if s.state == "partly" and not s.lost
    ]
    yield from map(safe_text, report.causes.values())
    if (failed := sum(s.state == "failed" for s in months)) > len(report.causes) > 0:
        yield f"and {failed - len(report.causes):,} failed before: their runs say why"
    yield from notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        yield f"and {len(notes) - MOST_NOTES:,} more: --json lists them"
    wanted = ["partly", "failed", "overdue", "missing"]
    if not chosen.source_url.is_synthetic:
        wanted.append("synthetic")
    if to_load := [s.month for s in months if s.state in wanted and not s.lost]:
        yield "Load what is not loaded with:"
        for command in repair_commands(to_load):
            yield f"  {command}"
