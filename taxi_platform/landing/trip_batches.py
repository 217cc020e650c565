"""Reads a cleaned file as a stream of Arrow batches, for a store.

``parquet_writer`` writes the file.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.landing.files import TripParquet
from taxi_platform.trips.schema import chosen_schema


def batches_ahead(file: pq.ParquetFile, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yields the named columns in batches. Reads the next batch while the caller uses this one.

    Args:
        file: the open file; must stay open until the iterator ends or is closed.
        names: the names of the columns.
        rows: maximum rows per batch.
    """
    batches = file.iter_batches(rows, columns=names, use_threads=False)
    with ThreadPoolExecutor(1, thread_name_prefix="parquet") as reader:
        following = reader.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = reader.submit(next, batches, None)
            yield batch


@contextmanager
def open_batches(trips: TripParquet, rows: int) -> Iterator[pa.RecordBatchReader]:
    """Opens a cleaned file as a stream of batches, without columns that are null in every row.

    Args:
        trips: the cleaned file; it is open within the ``with`` block.
        rows: maximum rows per batch.
    """
    schema = chosen_schema(trips.month.color, trips.columns_with_values)
    with pq.ParquetFile(trips.path, pre_buffer=False) as file:
        batches = batches_ahead(file, schema.names, rows)
        yield pa.RecordBatchReader.from_batches(schema, (b.cast(schema) for b in batches))
