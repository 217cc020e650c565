"""Charts in a materialization's metadata.

The UI renders Markdown and allows images with `data:` URLs (its sanitizer lists `data` as a source
of images, and its content security policy does not restrict them). So a chart needs no server.
"""

import base64
from collections.abc import Mapping

from dagster import MetadataValue

from taxi_platform.printable import counted
from taxi_platform.report.drawing import svg
from taxi_platform.report.month_chart import WIDTH, trips_a_day
from taxi_platform.report.picture import Picture
from taxi_platform.trips.month import TripMonth


def trips_by_day(
    month: TripMonth, rows_by_day: Mapping[str, int], *, synthetic: bool = False
) -> MetadataValue:
    """A bar chart of a month's trips by day of pickup.

    Args:
        month: color and month.
        rows_by_day: trips by day, such as ``2024-01-31``, New York local time.
        synthetic: whether they are made up.
    """
    picture = trips_a_day(month, rows_by_day, synthetic=synthetic)
    elsewhere = sum(rows_by_day.values()) - sum(row["trips"] for row in picture.rows)
    caption = picture.description
    if elsewhere:
        trips = f"{counted(elsewhere, 'trip')} {'is' if elsewhere == 1 else 'are'}"
        caption += f" {trips} dated outside the month."
    return image(picture, caption)


def image(picture: Picture, caption: str = "") -> MetadataValue:
    """A picture as an image in Markdown."""
    drawn = base64.b64encode(svg(picture.drawable(WIDTH)).encode()).decode()
    return MetadataValue.md(f"![{picture.title}](data:image/svg+xml;base64,{drawn})\n\n{caption}")
