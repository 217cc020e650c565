"""Shows the results: as JSON lines, a table on the terminal, tables in Markdown."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contest import Bench, Result
from benchmarks.processes import ContestError

BEGIN = "<!-- measured: written by `make bench` -->"
END = "<!-- end of what is measured -->"

VERSIONS = ("dagster", "pyarrow", "pandas", "duckdb", "polars", "dlt", "psycopg", "pgpq")

Measured = Sequence[tuple[Bench, Sequence[Result]]]


def print_json(bench: Bench, results: Sequence[Result]) -> None:
    """One line for each contender, and the ratios."""
    for result in results:
        print(json.dumps(result.as_json()))
    print(json.dumps({"bench": bench.name, "ratios": bench.compare(results)}), flush=True)


def print_table(bench: Bench, results: Sequence[Result]) -> None:
    """The same as a table on the terminal."""
    table = Table(title=bench.name, title_justify="left")
    for number, name in enumerate(_HEADER):
        table.add_column(name, justify="right" if number else "left")
    for row in _rows(results):
        table.add_row(*row)
    console = Console()
    console.print(table)
    if found := bench.compare(results):
        console.print(_sentence(found), highlight=False)


def write_section(path: Path, measured: Measured) -> None:
    """Writes the tables between the markers of a Markdown file.

    Raises:
        ContestError: the file has no marks.
    """
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ContestError(f"{path} lacks the marks {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{_markdown(measured)}\n{END}{after}")


_HEADER = ("contender", "rows", "seconds", "rows/s", "peak MB", "")


def _rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    return [
        (
            result.contender,
            f"{result.rows:,}",
            f"{result.seconds:,.2f}",
            f"{result.rows / result.seconds:,.0f}",
            f"{result.peak_mb:,.0f}",
            _more(result.more),
        )
        for result in results
    ]


def _more(more: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:,.4g}" for name, value in more.items())


def _sentence(ratios: Mapping[str, float]) -> str:
    return "Ours by theirs: " + ", ".join(f"{name} {ratio:g}" for name, ratio in ratios.items())


def _markdown(measured: Measured) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    where = f"{platform.system()}, {cores} cores, Python {platform.python_version()}"
    parts = [f"Measured on {datetime.now(UTC):%Y-%m-%d}: {where}, {packages}.\n"]
    for bench, results in measured:
        parts += [f"**{bench.name}**\n", _line(_HEADER), _line(("---", *["---:"] * 4, "---"))]
        parts += [_line(row) for row in _rows(results)]
        parts.append(f"\n{_sentence(bench.compare(results))}.\n")
    return "\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
