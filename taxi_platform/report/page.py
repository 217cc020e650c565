"""The report's HTML file: scripts, figures and shapes are in it, so it requests nothing."""

import html
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from string import Template
from typing import Any

from taxi_platform.report.drawing import SCHEMA, script
from taxi_platform.report.figures import Figures, Row, total_of
from taxi_platform.report.picture import Picture
from taxi_platform.report.pictures import payment_name
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.types import trip_type

MOST_NAMED = 3
"""How many months the title names one by one."""

NOT_PUBLISHED = "not published"
"""Instead of a sum of what the files of a color do not have."""

GENERATED = "they are generated to try the platform out"
"""Why there are synthetic trips."""


def report_page(figures: Figures, shown: Sequence[Picture]) -> str:
    """The whole file.

    Args:
        figures: of the months.
        shown: the pictures.
    """
    loaded = sorted({month.year_month for month in figures.loaded})
    few = len(loaded) <= MOST_NAMED
    period = ", ".join(loaded) if few else f"{figures.months[0]} to {figures.months[-1]}"
    made_up = f"{figures.made_up}: " if figures.made_up else ""
    return Template(_part("page.html")).substitute(
        title=_text(f"{made_up}New York's taxi trips, {period}"),
        style=_part("page.css"),
        vega=_in_script(script()),
        code=_part("page.js"),
        data=json.dumps(_data(shown), separators=(",", ":")).replace("<", "\\u003c"),
        notice=f'<p class="notice">{_text(_notice(figures))}</p>' if figures.made_up else "",
        summary=_summary(figures),
        colors=_options(figures.colors),
        months=_options(sorted({month.year_month for month in figures.loaded})),
        pictures="\n".join(_figure(picture, figures) for picture in shown),
        tables=_tables(figures),
        source=_text(
            f"Source: the marts in {figures.store}, computed of the trip files of New York's Taxi "
            f"and Limousine Commission. Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        ),
    )


def _notice(figures: Figures) -> str:
    """What is said of months that are made up; names them if there are others."""
    made_up = figures.synthetic & figures.loaded
    named = ", ".join(f"{month.color} {month.year_month}" for month in sorted(made_up))
    which = "" if made_up == figures.loaded else f" of {named}"
    return f"{figures.made_up} trips. No row{which} is real: {GENERATED}."


def _part(name: str) -> str:
    return files("taxi_platform.report").joinpath(name).read_text(encoding="utf-8")


def _in_script(code: str) -> str:
    """JavaScript that cannot end the script that it is in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _data(shown: Sequence[Picture]) -> dict[str, Any]:
    """The specifications, and each list of rows once, as columns and arrays."""
    rows: dict[str, Any] = {}
    specs = []
    for picture in shown:
        columns = sorted({name for row in picture.rows for name in row})
        table = {"columns": columns, "rows": [[r.get(c) for c in columns] for r in picture.rows]}
        name = next((n for n, known in rows.items() if known == table), f"t{len(rows)}")
        rows[name] = table
        spec = {"$schema": SCHEMA, **picture.specification()}
        specs.append({"key": picture.key, "rows": name, "spec": spec})
    return {"tables": rows, "pictures": specs}


def _figure(picture: Picture, figures: Figures) -> str:
    return (
        f'<figure id="{picture.key}">\n<h2>{_text(picture.title)}</h2>\n'
        f'<div class="drawing" id="drawing-{picture.key}" role="img" '
        f'aria-label="{_text(f"{picture.title}. {picture.description}")}"></div>\n'
        f"<figcaption>{_text(picture.description)} Source: {_text(figures.store)}.</figcaption>\n"
        "</figure>"
    )


def _options(names: Iterable[str]) -> str:
    return "".join(f'<option value="{_text(n)}">{_text(n)}</option>' for n in names)


def _summary(figures: Figures) -> str:
    rows = figures.tables["zones"]
    facts: list[tuple[str, str, int | None]] = [
        (color, "trips", sum(r["trips"] for r in rows if r["color"] == color))
        for color in figures.colors
    ]
    facts += [
        (color, "cents", total_of(r["revenue_cents"] for r in rows if r["color"] == color))
        for color in figures.colors
    ]
    items = []
    for color, what, value in facts:
        plain = "" if value is None else value
        said = f"{value:,}" if what == "trips" else _dollars(value)
        name = "trips" if what == "trips" else "charged"
        items.append(
            f"<div><dt>{_text(trip_type(color).title)}, {name}</dt>"
            f'<dd data-color="{color}" data-{what}="{plain}">{said}</dd></div>'
        )
    return f"<dl>{''.join(items)}</dl>"


def _tables(figures: Figures) -> str:
    """The figures as text: what to trust, and the small tables behind pictures."""
    parts = [_quality(figures)]
    payments: dict[str, list[int]] = {}
    for row in figures.tables["payments"]:
        sums = payments.setdefault(payment_name(row["payment_type"]), [0, 0, 0, 0])
        for place, name in enumerate(("trips", "fare_cents", "tip_cents", "tipped_fare_cents")):
            sums[place] += row[name] or 0
    parts.append(
        _table(
            "payments-table",
            "Payments and tips, all months",
            ["payment", "trips", "fares, $", "tips, $", "tips / fares"],
            [
                [
                    name,
                    f"{trips:,}",
                    _money(fares),
                    _money(tips) if known else "not recorded",
                    f"{tips / known:.1%}" if known else "",
                ]
                for name, (trips, fares, tips, known) in sorted(
                    payments.items(), key=lambda item: -item[1][0]
                )
            ],
        )
    )
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in figures.tables["pairs"]:
        pairs.setdefault((row["pickup_borough"], row["dropoff_borough"]), []).append(row)
    summed = {
        names: (sum(r["trips"] for r in rows), total_of(r["revenue_cents"] for r in rows))
        for names, rows in pairs.items()
    }
    parts.append(
        _table(
            "pairs-table",
            "From borough to borough, all months",
            ["from", "to", "trips", "charged, $"],
            [
                [origin, target, f"{trips:,}", _money(cents)]
                for (origin, target), (trips, cents) in sorted(
                    summed.items(), key=lambda item: -item[1][0]
                )
            ],
        )
    )
    return "\n".join(parts)


def _quality(figures: Figures) -> str:
    reasons = sorted({row["reason"] for row in figures.tables["quality"]} - {"kept"})
    counts = {
        (r["color"], r["month"], r["reason"]): r["row_count"] for r in figures.tables["quality"]
    }
    rows = []
    for color in figures.colors:
        loaded = [month.year_month for month in figures.loaded if month.color == color]
        for name in figures.months:
            month = TripMonth.from_key(f"{color}|{name}")
            # A month before the first or after the last is not missed, unless it failed.
            between = bool(loaded) and min(loaded) <= name <= max(loaded)
            if not between and month not in figures.states:
                continue
            rejected = [counts.get((color, name, reason), 0) for reason in reasons]
            kept = counts.get((color, name, "kept"), 0)
            there = month in figures.loaded
            numbers = [kept + sum(rejected), kept, *rejected]
            rows.append(
                [
                    color,
                    name,
                    _state(figures, month),
                    *(f"{n:,}" if there else "" for n in numbers),
                ]
            )
    return _table(
        "quality-table",
        "What to trust: the rows of each month's file",
        ["color", "month", "state", "read", "kept", *(r.replace("_", " ") for r in reasons)],
        rows,
        "Every row that was read is kept, or rejected for a reason. The sums of each mart were "
        "compared with the trips under it when it was made; where they differed, the run failed.",
    )


def _state(figures: Figures, month: TripMonth) -> str:
    there = "synthetic" if month in figures.synthetic else "loaded"
    state = there if month in figures.loaded else "missing"
    if month not in figures.states:
        return state
    return figures.states[month] + (f", {state}" if state == "synthetic" else "")


def _table(
    key: str, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
) -> str:
    names = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    body = "\n".join(
        f"<tr>{''.join(f'<td>{_text(value)}</td>' for value in row)}</tr>" for row in rows
    )
    return (
        f'<section id="{key}"><h2>{_text(title)}</h2><div class="wide" tabindex="0"><table>'
        f"<thead><tr>{names}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        f"<p>{_text(note)}</p></section>"
    )


def _dollars(cents: int | None) -> str:
    return NOT_PUBLISHED if cents is None else f"${_money(cents)}"


def _money(cents: int | None) -> str:
    if cents is None:
        return NOT_PUBLISHED
    dollars, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{dollars:,}.{rest:02}"


def _text(value: str) -> str:
    return html.escape(value, quote=True)
