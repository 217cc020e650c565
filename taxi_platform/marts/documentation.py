"""Generates docs/data.md: the trips, and the marts that are made of them.

A test compares the page with the code.
"""

from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.mart import Mart
from taxi_platform.trips.documentation import data_page as trips_page
from taxi_platform.trips.types import TRIP_TYPES

HEADING = """## Marts

Tables that each store computes of its trips by SQL, from `taxi_platform/marts/definitions/`. A color has
its own table, `green_zone_days`, of which a month is replaced whole, as of the trips. A view with the mart's
name, `zone_days`, has the rows of all colors, with a column `color`, and ratios. The view `trips` has the
trips of all colors, with the columns that all of them have.

Every table also has `data_file_month`. All sums are exact, so they are the same in every store: money is
summed in whole cents, distances in thousandths of a mile.
"""


def data_page() -> str:
    """The whole page."""
    return "\n".join([trips_page(), HEADING, *map(_section, MARTS.values())])


def _section(mart: Mart) -> str:
    colors = ", ".join(f"`{color}`" for color in TRIP_TYPES if mart.is_made_of(color))
    lines = [
        f"### `{mart.name}`\n",
        f"{mart.description} Colors: {colors}.\n",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.description} |" for c in mart.columns]
    lines += [
        f"| `{name}` | in the view only | | {ratio.description} |"
        for name, ratio in mart.ratios.items()
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(data_page(), end="")  # noqa: T201
