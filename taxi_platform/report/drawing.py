"""Renders Vega-Lite specifications, without a browser and without a network.

The renderer starts in a few tenths of a second, at the first picture of a process.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""The version of the specifications; a name, which nothing asks for."""

LIGHT: Mapping[str, Any] = {
    "background": "#ffffff",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"grid": True, "gridColor": "#e3e3e8", "domainColor": "#8a8a94"},
}
"""How pictures look where there is no page around them."""


def svg(specification: Mapping[str, Any]) -> str:
    """A picture as SVG."""
    # Imported here: few processes draw.
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(
        {**specification, "$schema": SCHEMA}, config=dict(LIGHT)
    )
    return drawn


@cache
def script() -> str:
    """The JavaScript that draws specifications in a page: Vega, Vega-Lite and Vega-Embed."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle
