"""The report's file: its figures, its words, and nothing that a hostile text could do in it."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from taxi_platform.report.drawing import svg
from taxi_platform.report.figures import Figures, Row, _plain
from taxi_platform.report.page import report_page
from taxi_platform.report.picture import Picture
from taxi_platform.report.pictures import pictures
from taxi_platform.report.shapes import borough_shapes
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.outlines import simplified

MONTHS = [TripMonth("green", date(2024, 1, 1)), TripMonth("green", date(2024, 3, 1))]


def rows(**values: Any) -> list[Row]:
    return [{"color": "green", "month": month.year_month, **values} for month in MONTHS]


def figures(
    *, synthetic: Sequence[TripMonth] = (), store: str = "Postgres, localhost/taxi"
) -> Figures:
    tables = {
        "days": [
            {"color": "green", "month": m.year_month, "day": f"{m.year_month}-05",
             "borough": "Queens", "trips": 7, "revenue_cents": 900}
            for m in MONTHS
        ],
        "zones": rows(pickup_zone=132, trips=7, revenue_cents=900, to_airports=1, from_airports=7),
        "hours": rows(weekday=1, hour=8, miles=20.5, seconds=7200),
        "payments": [
            *rows(payment_type=1, trips=5, fare_cents=600, tip_cents=120, tipped_fare_cents=600),
            *rows(payment_type=None, trips=2, fare_cents=200, tip_cents=0, tipped_fare_cents=0),
        ],
        "pairs": rows(pickup_borough="Queens", dropoff_borough="Bronx", trips=7, revenue_cents=900),
        "congestion": [
            {"color": "green", "month": m.year_month, "day": f"{m.year_month}-05", "trips": 7,
             "fee_trips": 3, "fee_cents": 225, "miles": 20.5, "seconds": 7200}
            for m in MONTHS
        ],
        "quality": [
            *rows(reason="kept", row_count=7),
            *rows(reason="zero_passengers", row_count=2),
        ],
    }  # fmt: skip
    return Figures(
        store,
        ["green"],
        ["2024-01", "2024-02", "2024-03"],
        frozenset(MONTHS),
        tables,
        frozenset(synthetic),
        {},
    )


def page(shown: Figures) -> str:
    return report_page(shown, pictures(shown, borough_shapes("are not loaded")))


@pytest.fixture(scope="module")
def drawn() -> list[Picture]:
    return pictures(figures(), borough_shapes("are not loaded"))


@pytest.mark.slow
def test_every_picture_can_be_drawn_and_says_what_it_shows(drawn: list[Picture]) -> None:
    assert len({picture.key for picture in drawn}) == len(drawn) == 11
    for picture in drawn:
        tree = ElementTree.fromstring(svg(picture.drawable()))  # noqa: S314 - our own
        roles = [element.get("aria-roledescription") for element in tree.iter()]
        marks = [
            role for role in roles if role in ("bar", "geoshape", "line mark", "rect", "point")
        ]
        assert marks or "rect mark" in roles, (picture.key, set(roles))
        assert picture.description.endswith(".")


@pytest.mark.slow
def test_the_page_has_the_figures_as_text_and_needs_no_other_file() -> None:
    text = page(figures())
    assert '<dd data-color="green" data-trips="14">14</dd>' in text
    assert '<dd data-color="green" data-cents="1800">$18.00</dd>' in text
    assert "Content-Security-Policy" in text
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"<(?:link|img|iframe|object)\b|\b(?:src|href)=", markup)
    assert not re.findall(r"<script[^>]+src=", text)
    assert "Synthetic" not in text
    cells = re.findall(r"<tr>(.*?)</tr>", text.partition('id="quality-table"')[2], re.S)
    months = [re.findall(r"<td>(.*?)</td>", row) for row in cells[1:4]]
    assert months == [
        ["green", "2024-01", "loaded", "9", "7", "2"],
        ["green", "2024-02", "missing", "", "", ""],
        ["green", "2024-03", "loaded", "9", "7", "2"],
    ]
    # Of payments other than by card, tips are not recorded.
    payments = text.partition('id="payments-table"')[2].partition("</section>")[0]
    assert re.findall(r"<td>(.*?)</td>", payments) == [
        *("card", "10", "12.00", "2.40", "20.0%"),
        *("not published", "4", "4.00", "not recorded", ""),
    ]


@pytest.mark.slow
def test_every_title_of_synthetic_months_says_so() -> None:
    text = page(figures(synthetic=MONTHS))
    titles = re.findall(r"<figure.*?<h2>(.*?)</h2>", text, re.S)
    assert len(titles) == 11
    assert all(title.startswith("Synthetic trips: ") for title in titles)
    assert re.search(r"<title>Synthetic: ", text)
    assert "Synthetic trips. No row is real" in text


@pytest.mark.slow
def test_real_months_beside_synthetic_ones_are_not_called_synthetic() -> None:
    text = page(figures(synthetic=MONTHS[1:]))
    titles = re.findall(r"<figure.*?<h2>(.*?)</h2>", text, re.S)
    assert all(title.startswith("Partly synthetic trips: ") for title in titles)
    assert re.search(r"<title>Partly synthetic: ", text)
    assert "Partly synthetic trips. No row of green 2024-03 is real: they are generated" in text
    # A synthetic month that is not shown is not mentioned.
    assert figures(synthetic=[TripMonth("yellow", date(2024, 1, 1))]).made_up == ""


def test_months_whose_marts_are_of_several_versions_are_named() -> None:
    shown = figures()
    assert shown.disagreeing == frozenset()
    shown.tables["pairs"][1]["trips"] = 8
    assert shown.disagreeing == {MONTHS[1]}
    # A mart without rows of the month counts none of its trips.
    shown = figures()
    zones = shown.tables["zones"][1:]
    assert replace(shown, tables={**shown.tables, "zones": zones}).disagreeing == {MONTHS[0]}


@pytest.mark.slow
def test_what_the_files_of_a_color_do_not_have_is_no_zero() -> None:
    shown = figures()
    for table in ("zones", "pairs", "days"):
        for row in shown.tables[table]:
            row["revenue_cents"] = None
    text = page(shown)
    assert '<dd data-color="green" data-cents="">not published</dd>' in text
    pairs = text.partition('id="pairs-table"')[2].partition("</section>")[0]
    assert re.findall(r"<td>(.*?)</td>", pairs) == ["Queens", "Bronx", "14", "not published"]
    (revenue,) = [p for p in pictures(shown, borough_shapes("are missing")) if p.key == "revenue"]
    assert revenue.rows == []


@pytest.mark.slow
def test_large_sums_are_exact_to_the_cent() -> None:
    cents = 148_600_000_749_137_182
    assert _plain(Decimal(cents)) == cents
    assert _plain(Decimal("2.5")) == 2.5
    shown = figures()
    shown.tables["zones"][0]["revenue_cents"] = cents
    shown.tables["zones"][1]["revenue_cents"] = None
    text = page(replace(shown, store="Postgres"))
    assert "$1,486,000,007,491,371.82" in text


@pytest.mark.slow
def test_a_text_from_elsewhere_is_only_shown() -> None:
    hostile = "</script><script>alert(1)</script><!--"
    shown = figures(store=hostile)
    for row in shown.tables["pairs"]:
        row["pickup_borough"] = hostile
    text = page(shown)
    assert "<script>alert" not in text
    data = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert data
    assert hostile in json.dumps(json.loads(data[1])).replace("\\/", "/")


def test_a_failed_month_is_shown_as_failed() -> None:
    shown = figures()
    failed = TripMonth("green", date(2024, 2, 1))
    from taxi_platform.report.page import _state

    assert _state(shown, failed) == "missing"
    marked = Figures(**{**vars(shown), "states": {failed: "failed"}})
    assert _state(marked, failed) == "failed"
    both = replace(marked, states={MONTHS[0]: "failed"}, synthetic=frozenset(MONTHS))
    assert _state(both, MONTHS[0]) == "failed, synthetic"


def test_outlines_keep_their_shape_with_fewer_points_and_lose_small_islands() -> None:
    circle = [
        [round(-74 + 0.1 * x, 6), round(40.7 + 0.1 * y, 6)]
        for angle in (2 * math.pi * n / 400 for n in range(401))
        for x, y in [(math.cos(angle), math.sin(angle))]
    ]
    island = [[-73.5, 40.5], [-73.4999, 40.5], [-73.4999, 40.5001], [-73.5, 40.5]]
    found = simplified({"type": "MultiPolygon", "coordinates": [[circle], [island]]})
    (polygon,) = found["coordinates"]
    assert 20 < len(polygon[0]) < 60
    assert polygon[0][0] == polygon[0][-1]
    # Vega takes a counterclockwise outline for the rest of the globe.
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon[0], polygon[0][1:], strict=False))
    assert area / 2 == pytest.approx(-0.0314, rel=0.02)


def test_the_boroughs_are_the_five() -> None:
    names = {one["properties"]["name"] for one in borough_shapes("are not loaded").features}
    assert names == {"Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"}
    assert len(json.dumps(borough_shapes("are not loaded").features)) < 120_000
