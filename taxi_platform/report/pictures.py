"""The pictures of the report, each with its title, unit, description and limits."""

from collections.abc import Callable

from taxi_platform.printable import counted
from taxi_platform.report.figures import Figures, Row, total_of
from taxi_platform.report.picture import (
    OF_CHOICE,
    OF_COLOR,
    PALETTE,
    SEQUENTIAL,
    Picture,
    dollars,
    field,
    tooltip,
)
from taxi_platform.report.shapes import Shapes
from taxi_platform.report.years import fees, speeds_by_year

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PAYMENTS = {
    0: "flex fare",
    1: "card",
    2: "cash",
    3: "no charge",
    4: "dispute",
    5: "unknown",
    6: "voided",
}


def pictures(figures: Figures, shapes: Shapes) -> list[Picture]:
    """All pictures of a report, in the order in which they are shown."""
    made_up = f"{figures.made_up} trips: " if figures.made_up else ""
    makers: list[Callable[[Figures], Picture]] = [
        _days,
        lambda f: _map(f, shapes, "pickups", "Pickups", "trips", ",d"),
        lambda f: _map(f, shapes, "revenue", "Revenue of pickups, US dollars", "dollars", "$,.0f"),
        _speeds,
        _payments,
        _tips,
        _airports,
        _pairs,
        fees,
        speeds_by_year,
        _rejected,
    ]
    found = [make(figures) for make in makers]
    return [
        Picture(p.key, f"{made_up}{p.title}", p.description, p.spec, p.rows, p.height)
        for p in found
    ]


def _days(figures: Figures) -> Picture:
    # Not a scale of time: months that are far apart would leave nothing but a gap.
    axis = {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 24, "ticks": False}
    day = field("day", "ordinal", "day", axis=axis)
    trips = field("trips", "quantitative", "trips", axis={"format": "~s"})
    borough = field("borough", "nominal", "borough", scale={"range": list(PALETTE)})
    color = field("color", "nominal", "color")
    spec = {
        "transform": [OF_CHOICE],
        "mark": {"type": "line", "point": {"size": 12}, "interpolate": "linear"},
        "encoding": {
            "x": day,
            "y": trips,
            "color": {**borough, "legend": {"orient": "bottom", "columns": 3}},
            "detail": {"field": "month"},
            "strokeDash": {**color, "legend": {"orient": "bottom"}},
            "tooltip": tooltip(day, color, borough, {**trips, "format": ",d"}),
        },
    }
    inside = {(row["color"], row["month"]) for row in figures.tables["days"]}
    rows = [r for r in figures.tables["days"] if r["day"].startswith(r["month"])]
    return Picture(
        "days",
        "Trips a day, by color and borough of the pickup",
        f"A line for each borough and color, of {counted(len(inside), 'month')}. Trips dated "
        "outside their file's month are left out.",
        spec,
        rows,
        320,
    )


def _by_place(figures: Figures, shapes: Shapes) -> list[Row]:
    """Trips of each place; ``dollars`` is None if the color's files have no totals."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in figures.tables["zones"]:
        place = shapes.place_of.get(row["pickup_zone"], "Unknown")
        found.setdefault((row["color"], row["month"], place), []).append(row)
    by_place = []
    for (color, month, place), rows in found.items():
        cents = total_of(row["revenue_cents"] for row in rows)
        by_place.append(
            {
                "color": color,
                "month": month,
                "place": place,
                "trips": sum(row["trips"] for row in rows),
                "dollars": None if cents is None else cents / 100,
            }
        )
    return by_place


def _map(
    figures: Figures, shapes: Shapes, key: str, title: str, column: str, number: str
) -> Picture:
    rows = [row for row in _by_place(figures, shapes) if row[column] is not None]
    features = {"values": {"type": "FeatureCollection", "features": list(shapes.features)}}
    collection = {**features, "format": {"type": "json", "property": "features"}}
    value = field(column, "quantitative", title.split(",")[0].lower(), format=number)
    place = field("shape.properties.name", "nominal", shapes.kind)
    spec = {
        "projection": {"type": "mercator"},
        "layer": [
            {
                "data": collection,
                "mark": {"type": "geoshape", "fill": "#bbbbbb", "stroke": "#777777"},
            },
            {
                "data": {"name": "rows"},
                "transform": [
                    OF_CHOICE,
                    {
                        "aggregate": [{"op": "sum", "field": column, "as": column}],
                        "groupby": ["place"],
                    },
                    {
                        "lookup": "place",
                        "from": {"data": collection, "key": "properties.place"},
                        "as": "shape",
                    },
                    {"filter": "isValid(datum.shape)"},
                ],
                "mark": {"type": "geoshape", "stroke": "#ffffff", "strokeWidth": 0.5},
                "encoding": {
                    "shape": {"field": "shape", "type": "geojson"},
                    "color": {
                        **{k: v for k, v in value.items() if k != "format"},
                        "scale": {"scheme": "viridis", "type": "sqrt"},
                        "legend": {"orient": "bottom", "format": "~s", "gradientLength": 220},
                    },
                    "tooltip": [place, value],
                },
            },
        ],
    }
    return Picture(
        key,
        f"{title}, by {shapes.kind}",
        f"A map; lighter is more. Gray is none. {shapes.note}",
        spec,
        rows,
        420,
    )


def _speeds(figures: Figures) -> Picture:
    hour = field("hour", "ordinal", "hour", axis={"labelAngle": 0, "labelOverlap": True})
    day = field("day", "ordinal", "", sort=list(WEEKDAYS))
    mph = field("mph", "quantitative", "miles an hour", format=".1f")
    spec = {
        "transform": [
            OF_CHOICE,
            {
                "aggregate": [
                    {"op": "sum", "field": "miles", "as": "miles"},
                    {"op": "sum", "field": "seconds", "as": "seconds"},
                ],
                "groupby": ["day", "hour"],
            },
            {"filter": "datum.seconds > 0"},
            {"calculate": "datum.miles * 3600 / datum.seconds", "as": "mph"},
        ],
        "mark": "rect",
        "encoding": {
            "x": hour,
            "y": day,
            "color": {
                **{k: v for k, v in mph.items() if k != "format"},
                "scale": SEQUENTIAL,
                "legend": {"orient": "bottom"},
            },
            "tooltip": tooltip({**day, "title": "day"}, hour, mph),
        },
    }
    rows = [{**r, "day": WEEKDAYS[r["weekday"] - 1]} for r in figures.tables["hours"]]
    return Picture(
        "speeds",
        "Mean speed by day of the week and hour, miles an hour",
        "A heat map. Miles divided by hours of the trips of 1 minute to 4 hours and less than 100 "
        "miles; with stops, as a passenger has it.",
        spec,
        rows,
    )


def _payments(figures: Figures) -> Picture:
    kind = field("payment", "nominal", "", sort="-x")
    trips = field(
        "trips",
        "quantitative",
        "trips",
        aggregate="sum",
        axis={"format": ",d", "labelOverlap": True},
    )
    tips = field("tip_dollars", "quantitative", "tips, $", aggregate="sum", format="$,.0f")
    spec = {
        "transform": [OF_CHOICE],
        "mark": {"type": "bar", "color": PALETTE[0]},
        "encoding": {
            "x": trips,
            "y": kind,
            "tooltip": tooltip({**kind, "title": "payment"}, {**trips, "format": ",d"}, tips),
        },
    }
    named = [{**r, "payment": payment_name(r["payment_type"])} for r in figures.tables["payments"]]
    return Picture(
        "payments",
        "Trips by type of payment",
        "A bar for each type of payment.",
        spec,
        dollars(named, "tip_cents"),
        200,
    )


def payment_name(code: int | None) -> str:
    """What a payment's code means."""
    return "not published" if code is None else PAYMENTS.get(code, str(code))


def _tips(figures: Figures) -> Picture:
    month = field("month", "ordinal", "month", axis={"labelAngle": -40, "labelOverlap": True})
    share = field("share", "quantitative", "tips / fares", axis={"format": ".0%"})
    color = field("color", "nominal", "color", scale={"range": list(PALETTE)})
    spec = {
        "transform": [
            OF_COLOR,
            {"filter": "datum.tipped_fare_cents > 0"},
            {"calculate": "datum.tip_cents / datum.tipped_fare_cents", "as": "share"},
        ],
        "mark": {"type": "line", "point": {"size": 50}},
        "encoding": {
            "x": month,
            "y": share,
            "color": {**color, "legend": {"orient": "bottom"}},
            "tooltip": tooltip(month, color, {**share, "format": ".1%"}),
        },
    }
    return Picture(
        "tips",
        "Tips as a share of fares, paid by card, by month",
        "A line for each color. Tips in cash are not recorded, so other payments are left out.",
        spec,
        figures.tables["payments"],
        200,
    )


def _airports(figures: Figures) -> Picture:
    month = field("month", "ordinal", "month", axis={"labelAngle": -40, "labelOverlap": True})
    trips = field("trips", "quantitative", "trips", aggregate="sum", axis={"format": "~s"})
    way = field("way", "nominal", "", scale={"range": [PALETTE[0], PALETTE[1]]})
    rows = [
        {"color": r["color"], "month": r["month"], "way": way_, "trips": r[column]}
        for r in figures.tables["zones"]
        for way_, column in (("from", "from_airports"), ("to", "to_airports"))
        if r[column]
    ]
    spec = {
        "transform": [OF_COLOR],
        "mark": "bar",
        "encoding": {
            "x": month,
            "xOffset": {"field": "way"},
            "y": trips,
            "color": {**way, "legend": {"orient": "bottom"}},
            "tooltip": tooltip(month, {**way, "title": "way"}, {**trips, "format": ",d"}),
        },
    }
    return Picture(
        "airports",
        "Trips from and to Newark, Kennedy and LaGuardia airport, by month",
        "Two bars a month.",
        spec,
        rows,
        200,
    )


def _pairs(figures: Figures) -> Picture:
    origin = field("pickup_borough", "nominal", "from")
    target = field("dropoff_borough", "nominal", "to", axis={"labelAngle": -40})
    trips = field("trips", "quantitative", "trips", aggregate="sum")
    money = field("revenue_dollars", "quantitative", "dollars", aggregate="sum", format="$,.0f")
    spec = {
        "transform": [OF_CHOICE],
        "mark": "rect",
        "encoding": {
            "x": target,
            "y": origin,
            "color": {
                **trips,
                "scale": {"scheme": "viridis", "type": "symlog"},
                "legend": {"orient": "bottom", "format": "~s"},
            },
            "tooltip": tooltip(origin, target, {**trips, "format": ",d"}, money),
        },
    }
    return Picture(
        "pairs",
        "Trips from borough to borough",
        "A heat map; the scale is logarithmic. EWR is Newark airport.",
        spec,
        dollars(figures.tables["pairs"], "revenue_cents"),
        260,
    )


def _rejected(figures: Figures) -> Picture:
    month = field("month", "ordinal", "month", axis={"labelAngle": -40, "labelOverlap": True})
    share = field("share", "quantitative", "share of rows read", axis={"format": ".1%"})
    reason = field("reason", "nominal", "reason", scale={"range": list(PALETTE)})
    count = field("row_count", "quantitative", "rows", format=",d")
    color = field("color", "nominal", "color")
    read: dict[tuple[str, str], int] = {}
    for row in figures.tables["quality"]:
        key = (row["color"], row["month"])
        read[key] = read.get(key, 0) + row["row_count"]
    rows = [
        {**row, "share": row["row_count"] / (read[row["color"], row["month"]] or 1)}
        for row in figures.tables["quality"]
        if row["reason"] != "kept"
    ]
    spec = {
        "transform": [OF_COLOR],
        "mark": "bar",
        "encoding": {
            "x": month,
            "xOffset": {"field": "color"},
            "y": share,
            "color": {**reason, "legend": {"orient": "bottom", "columns": 2}},
            "tooltip": tooltip(
                month,
                color,
                reason,
                count,
                {**share, "format": ".2%"},
            ),
        },
    }
    return Picture(
        "rejected",
        "Rows rejected, share of rows read, by reason and month",
        "A bar for each color and month. Each row counts under its first reason.",
        spec,
        rows,
        220,
    )
