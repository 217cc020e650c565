"""A cleaned file as a stream of Arrow batches, for a store that takes them in.

How the file is written is the business of ``parquet_writer``.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq


def batches_ahead(file: pq.ParquetFile, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The chosen columns in batches, the next one read while the caller works on this one.

    Args:
        file: the open file; must stay open until the iterator ends or is closed.
        names: its columns.
        rows: rows a batch, at most.
    """
    batches = file.iter_batches(rows, columns=names, use_threads=False)
    with ThreadPoolExecutor(1, thread_name_prefix="parquet") as reader:
        following = reader.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = reader.submit(next, batches, None)
            yield batch
