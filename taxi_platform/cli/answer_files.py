"""A query's answer for programs: CSV, JSON and Parquet, written batch by batch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.cli.values import json_of, text_of
from taxi_platform.stores.base import Answer

GROUP_ROWS = 50_000
"""The least rows of a row group in Parquet, but for the last."""

Write = Callable[[str], object]


def write_csv(answer: Answer, write: Write) -> int:
    """Writes CSV with a header. Null is empty, the empty text is ``""``.

    Returns:
        How many rows there are.
    """
    write(_csv_line(answer.schema.names))
    rows = 0
    for batch in answer.batches:
        write("".join(map(_csv_line, batch)))
        rows += len(batch)
    return rows


def _csv_line(values: Sequence[Any]) -> str:
    fields = ["" if value is None else _csv_field(text_of(value)) for value in values]
    return ",".join(fields) + "\n"


def _csv_field(text: str) -> str:
    if text and not any(sign in text for sign in ',"\n\r'):
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def write_json(answer: Answer, write: Write) -> int:
    """Writes an array with an object for each row, each in a line of its own.

    Returns:
        How many rows there are.

    Raises:
        ValueError: two columns have one name.
    """
    _require_distinct(answer.schema)
    names = [json_of(name) for name in answer.schema.names]
    rows = 0
    for batch in answer.batches:
        objects = [
            ", ".join([f"{n}: {json_of(value)}" for n, value in zip(names, row, strict=True)])
            for row in batch
        ]
        lines = ",\n".join([f"{{{entries}}}" for entries in objects])
        write(f"{',' if rows else '['}\n{lines}")
        rows += len(batch)
    write("\n]\n" if rows else "[]\n")
    return rows


def write_parquet(answer: Answer, path: Path) -> int:
    """Writes a Parquet file with the answer's Arrow types.

    Returns:
        How many rows there are.

    Raises:
        ValueError: two columns have one name, or a value does not fit its column's type.
    """
    _require_distinct(answer.schema)
    rows = 0
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, answer.schema) as writer:
        for batch in answer.batches:
            waiting.append(_arrow(answer.schema, batch))
            rows += len(batch)
            if sum(part.num_rows for part in waiting) >= GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return rows


def _arrow(schema: pa.Schema, batch: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    columns = []
    for field, values in zip(schema, zip(*batch, strict=True), strict=True):
        try:
            columns.append(_array(field.type, values))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ValueError(
                f"a value of the column {field.name} does not fit Parquet's {field.type} "
                f"({error}): cast it in the query, such as CAST({field.name} AS text)"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _array(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_string(kind):
        values = [None if value is None else text_of(value) for value in values]
    elif pa.types.is_floating(kind):
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def _require_distinct(schema: pa.Schema) -> None:
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"the answer has several columns {', '.join(repeated)}: name them apart with AS"
        )
