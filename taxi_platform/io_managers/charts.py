"""Charts in a materialization's metadata.

The UI renders Markdown and allows images with `data:` URLs (its sanitizer lists `data` as a source
of images, and its content security policy does not restrict them). So a chart needs no server and
no plotting library: it is an SVG written here.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from xml.sax.saxutils import escape

from dagster import MetadataValue

from taxi_platform.trips.month import TripMonth

_WIDTH, _HEIGHT = 720, 220
_LEFT, _TOP, _BOTTOM = 64, 28, 24
_BAR, _WEEKEND = "#4f43dd", "#9f97f0"


def trips_by_day(month: TripMonth, rows_by_day: Mapping[str, int]) -> MetadataValue:
    """A bar chart of a month's trips by day of pickup.

    Args:
        month: color and month; each of its days is a bar, also those without trips.
        rows_by_day: trips by day, such as ``2024-01-31``, New York local time.
    """
    days = []
    day = month.month
    while day < month.following:
        days.append(day)
        day += timedelta(days=1)
    counts = [rows_by_day.get(day.isoformat(), 0) for day in days]
    elsewhere = sum(rows_by_day.values()) - sum(counts)
    title = f"{month.color} trips a day, {month.month:%B %Y}"
    bars = [
        (str(day.day), count, _WEEKEND if day.weekday() >= 5 else _BAR)
        for day, count in zip(days, counts, strict=True)
    ]
    picture = base64.b64encode(_bar_chart(title, bars).encode()).decode()
    caption = "Weekends are lighter."
    if elsewhere:
        trips = "1 trip is" if elsewhere == 1 else f"{elsewhere:,} trips are"
        caption += f" {trips} dated outside the month."
    return MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{picture})\n\n{caption}")


def _bar_chart(title: str, bars: list[tuple[str, int, str]]) -> str:
    """An SVG of labeled bars; in a file of its own, hovering over a bar shows its count."""
    most = max((count for _, count, _ in bars), default=0) or 1
    space = _HEIGHT - _TOP - _BOTTOM
    step = (_WIDTH - _LEFT) / max(len(bars), 1)
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        # With a background: the UI may be dark.
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="16" font-size="13">{escape(title)}</text>',
    ]
    for share in (0.5, 1):
        y = _TOP + space * (1 - share)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:,.0f}</text>'
        )
    for place, (label, count, fill) in enumerate(bars):
        height = space * count / most
        x = _LEFT + place * step
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{_TOP + space - height:.1f}" width="{step - 2:.1f}" '
            f'height="{height:.1f}" fill="{fill}"><title>{label}: {count:,}</title></rect>'
            f'<text x="{x + step / 2:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{label}</text>'
        )
    return "".join([*parts, "</svg>"])
