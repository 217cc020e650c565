"""A query's answer for people: a table if it fits the terminal, else one column a line.

A table that does not fit would be cut, or have columns without width; psql's expanded display has
neither.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from taxi_platform.cli.values import text_of
from taxi_platform.printable import printable

ANY_WIDTH = 1_000_000
"""Of a terminal on which every table fits, to measure a table on."""


def show_answer(output: Console, schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> None:
    """Shows rows; texts are data, and what a terminal would obey is escaped.

    Args:
        output: where; its width decides.
        schema: names and types of the columns.
        rows: of Python's values.
    """
    names = [_shown(name) for name in schema.names]
    texts = [["" if value is None else _shown(text_of(value)) for value in row] for row in rows]
    table = Table(*(_column(n, f.type) for n, f in zip(names, schema, strict=True)))
    for row in texts:
        table.add_row(*row)
    natural = Measurement.get(output, output.options.update(max_width=ANY_WIDTH), table)
    # One column alone is folded: a plan, for instance.
    if natural.maximum <= output.width or len(names) == 1:
        output.print(table)
    elif rows:
        _show_expanded(output, names, texts)
    else:
        output.print(f"columns: {', '.join(names)}", soft_wrap=True)
    if not rows:
        output.print("no rows")


def _column(name: str, kind: pa.DataType) -> Column:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return Column(name, justify="right" if is_number else "left", overflow="fold")


def _show_expanded(output: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(cell_len, names))
    for number, row in enumerate(rows, 1):
        output.print(f"-[ row {number} ]".ljust(min(width + 10, output.width), "-"))
        for name, text in zip(names, row, strict=True):
            first, *others = text.split("\n")
            padding = " " * (width - cell_len(name))
            # The terminal breaks a line that is too long, and copies it whole.
            output.print(f"{name}{padding} | {first}", soft_wrap=True)
            for line in others:
                output.print(f"{' ' * width} | {line}", soft_wrap=True)


def _shown(text: str) -> str:
    return printable(text).expandtabs()
