"""Asks a store, and writes the report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from taxi_platform.landing.atomic_files import atomic_paths
from taxi_platform.landing.zone import LandingZone
from taxi_platform.report.figures import Figures, ask_figures, months_with_marts
from taxi_platform.report.page import report_page
from taxi_platform.report.picture import Picture
from taxi_platform.report.pictures import pictures
from taxi_platform.report.shapes import shapes_of
from taxi_platform.sources.address import is_synthetic
from taxi_platform.stores.base import TableStore
from taxi_platform.trips.month import TripMonth

NAME = "report/trips.html"
"""Where the report is, in the folder of the landing zone and in the bucket."""


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        figures: what it shows.
        pictures: how.
        html: the file's text.
    """

    figures: Figures
    pictures: Sequence[Picture]
    html: str

    def write(self, path: Path) -> None:
        """Writes the file, which replaces an older one when it is complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_paths(path) as (partial,):
            partial.write_text(self.html, encoding="utf-8")


def make_report(
    store: TableStore,
    label: str,
    colors: Sequence[str],
    zone: LandingZone,
    *,
    first: date | None = None,
    last: date | None = None,
    most_months: int | None = None,
    states: Mapping[TripMonth, str] | None = None,
) -> Report:
    """Makes a report of the marts in a store.

    Args:
        store: the store.
        label: its name for people.
        colors: the colors to show.
        zone: the landing zone, which knows which months are synthetic.
        first: first day of the first month; by default of the first that has marts.
        last: first day of the last month; by default of the last that has marts.
        most_months: at most so many of the last months that have marts, if none is given.
        states: what is known of months besides, such as that they failed.

    Raises:
        ValueError: no month has marts.
    """
    made = months_with_marts(store, colors)
    if not made:
        raise ValueError(
            f"{store.address} has no marts of {', '.join(colors)}: load a month first, with the "
            "job ingest_month or 'taxi-platform backfill'"
        )
    dates = sorted({month.month for month in made})
    first = first or dates[-most_months if most_months else 0 :][0]
    last = last or dates[-1]
    figures = ask_figures(store, label, colors, first, last)
    if not figures.loaded:
        raise ValueError(
            f"no month from {first:%Y-%m} to {last:%Y-%m} has marts in {store.address}; there are "
            f"{made[0].year_month} to {made[-1].year_month}"
        )
    figures = replace(
        figures, synthetic=synthetic_months(zone, figures.loaded), states=states or {}
    )
    shown = pictures(figures, shapes_of(store))
    return Report(figures, shown, report_page(figures, shown))


def synthetic_months(zone: LandingZone, months: Collection[TripMonth]) -> frozenset[TripMonth]:
    """The months whose cleaned file was generated."""
    found = {month: zone.find_cleaned_or_none(month) for month in months}
    return frozenset(m for m, file in found.items() if file and is_synthetic(file.source))
