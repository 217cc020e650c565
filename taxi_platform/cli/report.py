"""`taxi-platform report`: writes the report of a range of months."""

import webbrowser
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_platform.cli.output_files import output_file, wrong_ending
from taxi_platform.cli.terminal import fail, say
from taxi_platform.errors import SettingsError, StoreError
from taxi_platform.printable import printable

if TYPE_CHECKING:
    from taxi_platform.settings import Settings
    from taxi_platform.trips.month import TripMonth


def report(
    color: Annotated[
        list[str] | None, typer.Option(help="A color; repeat it for more; by default all.")
    ] = None,
    first: Annotated[
        str, typer.Option("--from", help="The first month, such as 2024-01; by default of all.")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="The last month; by default of all.")] = "",
    store: Annotated[
        str, typer.Option(help="Which store of TAXI_STORES; by default postgres, or the first.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(help="The HTML file; by default report/trips.html under TAXI_DATA_DIR."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write pictures of the trips into one HTML file, which opens without a network.

    The figures are those of the marts in a store: trips a day, maps, speeds, payments and tips,
    airports, boroughs, the congestion charge, and what to trust.
    """
    from taxi_platform.settings import load_settings

    try:
        chosen = load_settings()
        path = write_report(chosen, color or [], first, last, store, output)
    except OSError as error:
        raise fail(f"{output or error.filename}: {error.strerror or error}") from error
    except (SettingsError, StoreError, ValueError) as error:
        raise fail(" ".join(str(error).split())) from error
    say(printable(str(path)))
    if open_it:
        webbrowser.open(path.as_uri())


def write_report(
    chosen: "Settings",
    colors: list[str],
    first: str = "",
    last: str = "",
    store: str = "",
    output: Path | None = None,
) -> Path:
    """Writes the report; returns its path.

    Raises:
        ValueError: a color, month, store or file is none, or has no marts.
        StoreError: the store cannot be asked.
        OSError: the file cannot be written.
    """
    from taxi_platform.assets.keys import mart_stores, report_store
    from taxi_platform.automation.months import require_colors
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.report.writing import NAME, make_report
    from taxi_platform.stores.registry import STORES

    require_colors(chosen, colors)
    since, until = _month("--from", first), _month("--to", last)
    if since and until and since > until:
        raise ValueError(f"--from is {first}, which is after --to, {last}")
    names = [known.name for known in mart_stores(chosen)]
    default = report_store(chosen)
    if default is None:
        raise ValueError("no store of TAXI_STORES has marts")
    name = store or default.name
    if name not in names:
        raise ValueError(f"--store is {name!r}: one of {', '.join(names)} (TAXI_STORES)")
    path = _file(output) if output else (chosen.data_dir / NAME).absolute()
    synthetic, failed = _recorded(chosen)
    with chosen.open_store(name) as opened:
        made = make_report(
            opened,
            STORES[name].label,
            sorted(set(colors)) or chosen.colors,
            LandingZone(chosen.data_dir),
            first=since,
            last=until,
            synthetic=synthetic,
            states=dict.fromkeys(failed, "failed"),
        )
    made.write(path)
    return path


def _file(output: Path) -> Path:
    if output.suffix.lower() not in {".html", ".htm"}:
        raise wrong_ending(output, ".html")
    return output_file(output)


def _month(option: str, text: str) -> date | None:
    from taxi_platform.trips.month import parse_month

    if not text:
        return None
    try:
        return parse_month(text)
    except ValueError as error:
        raise ValueError(f"{option} is {text!r}: {error}") from None


def _recorded(chosen: "Settings") -> "tuple[set[TripMonth], set[TripMonth]]":
    """The months that were generated, and those whose last run failed.

    None if Dagster's records are not there.
    """
    from taxi_platform.assets.records import synthetic_months
    from taxi_platform.automation.backfills import failed_months
    from taxi_platform.automation.months import MonthRecords, month_keys
    from taxi_platform.cli.backfill import NoInstanceError, open_instance
    from taxi_platform.trips.month import TripMonth

    months = [
        TripMonth.from_key(f"{color}|{month}")
        for color in chosen.colors
        for month in month_keys(chosen)
    ]
    try:
        with open_instance() as instance:
            records = MonthRecords(instance, chosen)
            failed = failed_months(records, months) | records.last_run_failed(months)
            return synthetic_months(instance), failed
    except NoInstanceError:
        return set(), set()
