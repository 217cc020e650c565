"""What the UI shows of a materialization, built from Arrow. No store is met here."""

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dagster import MetadataValue, TableColumn, TableSchema

from taxi_platform.trips.schema import columns

PREVIEW_ROWS = 5
REPORT_SECONDS = 5.0


def column_schema(color: str) -> MetadataValue:
    """The canonical schema of a color as the UI's column table."""
    return MetadataValue.table_schema(
        TableSchema(
            [
                TableColumn(c.name, type=str(c.type), description=c.description)
                for c in columns(color)
            ]
        )
    )


def preview(path: Path) -> MetadataValue:
    """The first rows of a cleaned file, as a Markdown table without its all-null columns."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        head = next(file.iter_batches(PREVIEW_ROWS), None)
    if head is None:
        return MetadataValue.md("no rows")
    return MetadataValue.md(markdown_table(head))


def markdown_table(rows: pa.RecordBatch) -> str:
    """A batch as a Markdown table."""
    shown = [n for n in rows.schema.names if rows[n].null_count < rows.num_rows]
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    lines += [
        "| " + " | ".join("" if row[n] is None else str(row[n]) for n in shown) + " |"
        for row in rows.to_pylist()
    ]
    return "\n".join(lines)


def every_few_seconds(say: Callable[[str], None]) -> Callable[[str], None]:
    """Passes a message on at most every ``REPORT_SECONDS``: progress for long work only."""
    last = time.monotonic()

    def report(message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS:
            last = now
            say(message)

    return report
