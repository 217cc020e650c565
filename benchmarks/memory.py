"""How our peak memory grows with the file: a month, and one of eight times as many rows."""

import json
import statistics
from collections.abc import Callable

TIMES = 8


def compare(
    run: Callable[[int], dict[str, float]], rows: int, rounds: int, *, as_json: bool
) -> None:
    """Runs our cleaning on both in turn, and prints the peaks and their ratio.

    Args:
        run: cleans a month of so many rows in a process of its own, and gives its ``peak_mb``.
        rows: rows of the smaller month.
        rounds: how often each is run; medians count.
        as_json: JSON lines instead of a table.
    """
    sizes = (rows, rows * TIMES)
    peaks: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            peaks[size].append(run(size)["peak_mb"])
    medians = {size: statistics.median(found) for size, found in peaks.items()}
    for size, peak in medians.items():
        line = {"bench": "memory", "rows": size, "peak_mb": round(peak)}
        print(json.dumps(line) if as_json else f"{size:>12,} rows{round(peak):>7,} MB")
    ratio = round(medians[sizes[1]] / medians[sizes[0]], 3)
    print(
        json.dumps({"bench": "memory", "ratio": ratio})
        if as_json
        else f"peak of {TIMES} times the rows / peak: {ratio}"
    )
