"""Pictures that compare years, day by day: the congestion relief zone charge, and speeds."""

from taxi_platform.report.figures import Figures, Row
from taxi_platform.report.picture import OF_COLOR, PALETTE, Picture, Spec, field

DATES = {"format": "%b %d", "labelOverlap": True}


def _by_year(figures: Figures) -> list[Row]:
    rows = [r for r in figures.tables["congestion"] if r["day"].startswith(r["month"])]
    # All in one leap year, so that years lie upon one another.
    return [{**r, "year": r["day"][:4], "of_year": f"2024{r['day'][4:]}"} for r in rows]


def _yearly(key: str, title: str, description: str, value: Spec, rows: list[Row]) -> Picture:
    day = field("of_year", "temporal", "day of the year", axis=DATES)
    year = field("year", "nominal", "year", scale={"range": list(PALETTE)})
    sums = ("fee_trips", "fee_cents", "trips", "miles", "seconds")
    spec = {
        "transform": [
            OF_COLOR,
            {
                "aggregate": [{"op": "sum", "field": name, "as": name} for name in sums],
                "groupby": ["of_year", "year"],
            },
            {"calculate": "datum.fee_cents / 100", "as": "fee_dollars"},
            {"calculate": "datum.fee_trips / datum.trips", "as": "share"},
            {
                "calculate": "datum.seconds > 0 ? datum.miles * 3600 / datum.seconds : null",
                "as": "mph",
            },
        ],
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {
            "x": day,
            "y": value,
            "color": {**year, "legend": {"orient": "bottom"}},
            "tooltip": [
                field("of_year", "temporal", "day", format="%b %d"),
                year,
                field("trips", "quantitative", "trips", format=",d"),
                field("share", "quantitative", "with the charge", format=".1%"),
                field("fee_dollars", "quantitative", "charge, $", format="$,.0f"),
                field("mph", "quantitative", "miles an hour", format=".1f"),
            ],
        },
    }
    return Picture(key, title, description, spec, rows, 220)


def fees(figures: Figures) -> Picture:
    """The share of trips with the charge."""
    return _yearly(
        "fees",
        "Trips with the congestion relief zone charge, share of all, by day and year",
        "A line for each year, so that this year can be compared with the last. The charge exists "
        "since January 5, 2025.",
        field("share", "quantitative", "share of trips", axis={"format": ".0%"}),
        _by_year(figures),
    )


def speeds_by_year(figures: Figures) -> Picture:
    """Mean speeds."""
    return _yearly(
        "speeds_by_year",
        "Mean speed by day and year, miles an hour",
        "A line for each year. What the charge does to traffic, if it does, is between the lines.",
        field("mph", "quantitative", "miles an hour", scale={"zero": False}),
        _by_year(figures),
    )
