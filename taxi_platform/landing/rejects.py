"""Examples of rejected rows, for people."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from taxi_platform.trips.blocks import LINE_NUMBER, RAW_TEXT, REJECT_REASONS


def reject_examples(path: Path, most: int) -> dict[str, list[dict[str, Any]]]:
    """Some rows of a file of rejected rows, by their first reason.

    Args:
        path: the file.
        most: rows of each reason.

    Returns:
        For each reason, rows as ``line_number``, ``reasons`` and ``text``: the published line, or
        where there is none what could be read of the row.

    Raises:
        pa.ArrowException, OSError: the file does not exist, or cannot be read.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(4096):
            for row in batch.to_pylist():
                rows = found.setdefault(row[REJECT_REASONS][0], [])
                if len(rows) < most:
                    rows.append(_example(row))
    return found


def _example(row: dict[str, Any]) -> dict[str, Any]:
    reasons, line, text = row.pop(REJECT_REASONS), row.pop(LINE_NUMBER), row.pop(RAW_TEXT)
    read = ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
    return {"line_number": line, "reasons": reasons, "text": text or read}
