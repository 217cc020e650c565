"""Trends in the text of a materialization's metadata.

The UI shows Markdown of more than 1,000 characters behind a click, so a trend is a line of text.
"""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"

NOTHING = "·"
"""Stands for a missing value."""


def sparkline(values: Sequence[float | None]) -> str:
    """A bar of text for each value, from zero to the largest; a dot where there is none.

    >>> sparkline([0, 50, None, 100])
    '▁▅·█'
    """
    most = max((value for value in values if value is not None), default=0)
    return "".join(NOTHING if value is None else _bar(value, most) for value in values)


def _bar(value: float, most: float) -> str:
    share = max(value, 0) / most if most > 0 else 0
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]
