"""`taxi-platform report`: writes the report of a range of months."""

import webbrowser
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
        ValueError: a color, month or store is none, or has no marts.
        StoreError: the store cannot be asked, or the file not be written.
    """
    from taxi_platform.assets.keys import mart_stores, report_store
    from taxi_platform.automation.months import require_colors
    from taxi_platform.landing.zone import LandingZone
    from taxi_platform.report.writing import NAME, make_report
    from taxi_platform.stores.registry import STORES

    require_colors(chosen, colors)
    names = [known.name for known in mart_stores(chosen)]
    default = report_store(chosen)
    if default is None:
        raise ValueError("no store of TAXI_STORES has marts")
    name = store or default.name
    if name not in names:
        raise ValueError(f"--store is {name!r}: one of {', '.join(names)} (TAXI_STORES)")
    path = (output or chosen.data_dir / NAME).absolute()
    with chosen.open_store(name) as opened:
        made = make_report(
            opened,
            STORES[name].label,
            sorted(set(colors)) or chosen.colors,
            LandingZone(chosen.data_dir),
            first=_month("--from", first),
            last=_month("--to", last),
            states=_failed(chosen),
        )
    made.write(path)
    return path


def _month(option: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"{option} is {text!r}: give a month such as 2024-01") from None


def _failed(chosen: "Settings") -> "Mapping[TripMonth, str]":
    """The months whose last run failed, if Dagster's records are there."""
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
    except NoInstanceError:
        return {}
    return dict.fromkeys(failed, "failed")
