"""Rows in the type that the annotation of an asset's input requests.

``pandas.DataFrame``, ``pyarrow.Table``, or ``pyarrow.RecordBatchReader``, which streams;
``AssetIn(metadata={"columns": [...]})`` selects columns. The rows of several partitions are
concatenated in the order of the keys.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
from dagster import Failure, InputContext

from taxi_platform.io_managers.failures import as_failures, months_of
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import chosen_schema

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = "pa.RecordBatchReader | pa.Table | pd.DataFrame"

Stream = Callable[[TripMonth], Iterator[pa.RecordBatch]]
"""Returns the rows of a month, with the selected columns."""


def chosen_columns(context: InputContext) -> Sequence[str] | None:
    """The columns that an input's metadata selects, None for all."""
    return (context.definition_metadata or {}).get("columns")


def wants_rows(context: InputContext) -> bool:
    """Whether an input is annotated with a type of rows."""
    wanted = context.dagster_type.typing_type
    return wanted in (pa.RecordBatchReader, pa.Table) or _is_frame(wanted)


def trips_as_annotated(context: InputContext, stream: Stream) -> Rows:
    """The trips of an input's partitions.

    Args:
        context: of the input.
        stream: returns the rows of a month.

    Raises:
        Failure: there is no such column, the input has another annotation, or the months have
            different columns.
    """
    months = months_of(context)
    subject = ", ".join(month.key for month in months[:3]) + ", …" * (len(months) > 3)
    with as_failures(subject, context):
        if not months:
            raise ValueError("the input has no partitions, so its months are unknown")
        schema = _common_schema(months, chosen_columns(context))

        def batches() -> Iterator[pa.RecordBatch]:
            for month in months:
                yield from stream(month)

        def frame(rows: pa.Table) -> "pd.DataFrame":
            from taxi_platform.io_managers.frames import trip_frame

            return trip_frame(months[0].color, rows)

        return as_annotated(context, pa.RecordBatchReader.from_batches(schema, batches()), frame)


def as_annotated(
    context: InputContext,
    rows: pa.RecordBatchReader,
    frame: Callable[[pa.Table], "pd.DataFrame"],
) -> Rows:
    """Rows as the type that an input is annotated with.

    Args:
        context: of the input.
        rows: the rows.
        frame: converts them to a pandas frame.

    Raises:
        Failure: it has another annotation.
    """
    wanted = context.dagster_type.typing_type
    if wanted is pa.RecordBatchReader:
        return rows
    if wanted is pa.Table:
        return rows.read_all()
    if _is_frame(wanted):
        return frame(rows.read_all())
    raise Failure(
        f"{context.asset_key.to_user_string()}: annotate the input as pyarrow.RecordBatchReader, "
        f"which streams, pyarrow.Table or pandas.DataFrame: rows cannot be given as {wanted}",
        allow_retries=False,
    )


def _is_frame(wanted: Any) -> bool:
    # By its name: importing pandas takes a second, so only code that uses it imports it.
    name = f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__name__', '')}"
    return name.startswith("pandas.") and name.endswith(".DataFrame")


def _common_schema(months: Sequence[TripMonth], names: Sequence[str] | None) -> pa.Schema:
    """The common schema of months of several colors.

    Raises:
        ValueError: a color lacks a column, or the schemas differ.
    """
    schemas = {month.color: chosen_schema(month.color, names) for month in months}
    first = schemas[months[0].color]
    for color, schema in schemas.items():
        if not schema.equals(first):
            raise ValueError(
                f"{months[0].color} and {color} trips have different columns: choose those that "
                "both have, with AssetIn(metadata={'columns': [...]})"
            )
    return first
