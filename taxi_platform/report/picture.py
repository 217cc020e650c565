"""What a picture is: a Vega-Lite specification, its rows, and its words.

Colors are Okabe and Ito's and Viridis, which the color-blind can tell apart. The parameters
``chosenColor`` and ``chosenMonth`` choose rows; a page may set them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taxi_platform.report.figures import Row

Spec = dict[str, Any]

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
SEQUENTIAL = {"scheme": "viridis"}

OF_CHOICE = {
    "filter": "(chosenColor == 'all' || datum.color == chosenColor) && "
    "(chosenMonth == 'all' || datum.month == chosenMonth)"
}
OF_COLOR = {"filter": "chosenColor == 'all' || datum.color == chosenColor"}


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        key: its name, in lower case.
        title: what it shows, with the unit.
        description: the same in a sentence or two, for those who do not see it, and its limits.
        spec: the specification, which takes its rows from the dataset ``rows``.
        rows: the rows.
        height: pixels of the drawing.
    """

    key: str
    title: str
    description: str
    spec: Spec
    rows: Sequence[Row]
    height: int = 240

    def specification(self, width: int | str = "container") -> Spec:
        """The whole specification, without the rows."""
        return {
            "width": width,
            "height": self.height,
            "autosize": {"type": "fit", "contains": "padding"},
            "description": f"{self.title}. {self.description}",
            "params": [
                {"name": "chosenColor", "value": "all"},
                {"name": "chosenMonth", "value": "all"},
            ],
            **({} if "layer" in self.spec else {"data": {"name": "rows"}}),
            **self.spec,
        }

    def drawable(self, width: int = 720) -> Spec:
        """The specification with its rows and its title, to be drawn by itself."""
        return {
            **self.specification(width),
            "title": {"text": self.title, "anchor": "start"},
            "datasets": {"rows": list(self.rows)},
        }


def field(name: str, kind: str, title: str, **more: Any) -> Spec:
    """A field of an encoding."""
    return {"field": name, "type": kind, "title": title, **more}


def tooltip(*fields: Spec) -> list[Spec]:
    """What is shown of a mark that is pointed at."""
    return [{key: value for key, value in one.items() if key != "axis"} for one in fields]


def dollars(rows: Sequence[Row], *columns: str) -> list[Row]:
    """The rows, with cents as dollars too."""
    return [
        {**row, **{c.replace("_cents", "_dollars"): (row[c] or 0) / 100 for c in columns}}
        for row in rows
    ]
