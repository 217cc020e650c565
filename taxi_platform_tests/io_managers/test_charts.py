import base64
import re
from xml.etree import ElementTree

import pytest

from taxi_platform.io_managers.charts import trips_by_day
from taxi_platform.trips.month import TripMonth

MONTH = TripMonth.from_key("green|2024-02")
SVG = "{http://www.w3.org/2000/svg}"


def test_the_chart_is_a_picture_with_a_bar_for_each_day_of_the_month() -> None:
    rows = {"2024-02-01": 100, "2024-02-29": 50, "2024-03-01": 7, "2008-12-31": 3}
    markdown = str(trips_by_day(MONTH, rows).value)
    # The form that the UI's Markdown takes for a picture.
    found = re.match(r"!\[[^]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)\n", markdown)
    assert found
    picture = ElementTree.fromstring(base64.b64decode(found[1]))  # noqa: S314 - our own
    assert (picture.attrib["width"], picture.attrib["height"]) == ("720", "220")
    bars = [p for p in picture.iter(f"{SVG}path") if p.get("aria-roledescription") == "bar"]
    titles = [bar.attrib["aria-label"] for bar in bars]
    assert len(bars) == 29
    assert titles[0].startswith("day: 1; trips: 100")
    assert titles[1].startswith("day: 2; trips: 0")
    # The vertical line of each bar, as its path has it.
    heights = [float(re.findall(r"v([\d.]+)", bar.attrib["d"])[0]) for bar in bars]
    assert heights[28] == pytest.approx(heights[0] / 2)
    assert heights[0] > 50
    assert heights[1] == 0
    assert "10 trips are dated outside the month" in markdown


def test_one_trip_outside_the_month_is_one_trip() -> None:
    markdown = str(trips_by_day(MONTH, {"2024-02-01": 100, "2024-03-01": 1}).value)
    assert markdown.endswith("Weekends are lighter. 1 trip is dated outside the month.")


def test_the_chart_of_a_synthetic_month_says_so() -> None:
    assert "Synthetic: green trips a day" in str(trips_by_day(MONTH, {}, synthetic=True).value)


def test_a_month_without_trips_has_a_chart_too() -> None:
    assert "data:image/svg+xml" in str(trips_by_day(MONTH, {}).value)
