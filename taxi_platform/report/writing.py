"""Asks a store, and writes the report."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
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

DISAGREEING = "marts of several versions"
"""The state of a month whose marts are not of the same trips: make them again."""

ASKED_AGAIN, ASKED_AFTER_SECONDS = 3, 2.0
"""A month may be replaced while its marts are asked one after another."""


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
    synthetic: Collection[TripMonth] = (),
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
        zone: the landing zone, whose cleaned files say which months are synthetic.
        synthetic: months that are known to be synthetic, also if their files were deleted.
        first: first day of the first month; by default of the first that has marts.
        last: first day of the last month; by default of the last that has marts.
        most_months: at most so many of the last months that have marts, if none is given.
        states: what is known of months besides, such as that they failed.

    Raises:
        ValueError: no month has marts, or a mart was never made.
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
    figures = _of_one_version(lambda: ask_figures(store, label, colors, first, last))
    if not figures.loaded:
        raise ValueError(
            f"no month from {first:%Y-%m} to {last:%Y-%m} has marts in {store.address}; there are "
            f"{_spans(made)}"
        )
    made_up = _synthetic_files(zone, figures.loaded) | frozenset(synthetic)
    known = dict.fromkeys(figures.disagreeing, DISAGREEING) | dict(states or {})
    figures = replace(figures, synthetic=made_up, states=known)
    shown = pictures(figures, shapes_of(store))
    return Report(figures, shown, report_page(figures, shown))


def _of_one_version(ask: Callable[[], Figures]) -> Figures:
    """Asks again if months have marts of several versions; in the end, takes what there is."""
    figures = ask()
    for _ in range(ASKED_AGAIN):
        if not figures.disagreeing:
            break
        time.sleep(ASKED_AFTER_SECONDS)
        figures = ask()
    return figures


def _spans(months: Sequence[TripMonth]) -> str:
    """From when to when there are months of each color."""
    spans = []
    for color in sorted({month.color for month in months}):
        of_color = sorted(month for month in months if month.color == color)
        spans.append(f"{color} {of_color[0].year_month} to {of_color[-1].year_month}")
    return ", ".join(spans)


def _synthetic_files(zone: LandingZone, months: Collection[TripMonth]) -> frozenset[TripMonth]:
    """The months whose cleaned file was generated."""
    found = {month: zone.find_cleaned_or_none(month) for month in months}
    return frozenset(m for m, file in found.items() if file and is_synthetic(file.source))
