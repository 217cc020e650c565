"""A cleaned file as a stream of Arrow batches, for a store that takes them in.

How the file is written is the business of ``files``.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq


def columns_with_values(file: pq.ParquetFile) -> list[str]:
    """The columns that are not null throughout, by the file's own statistics.

    Every month lacks some of the canonical columns. A column about which the statistics are silent
    counts as having values, and so does every column of a file without rows.
    """
    metadata = file.metadata
    names: list[str] = file.schema_arrow.names
    return [
        name for index, name in enumerate(names) if not _is_null_throughout(metadata, index)
    ] or names


def _is_null_throughout(metadata: pq.FileMetaData, index: int) -> bool:
    chunks = (metadata.row_group(group).column(index) for group in range(metadata.num_row_groups))
    return all(
        chunk.statistics is not None
        and chunk.statistics.has_null_count
        and chunk.statistics.null_count == chunk.num_values
        for chunk in chunks
    )


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
