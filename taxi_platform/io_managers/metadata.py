"""Metadata of materializations, for the UI. Uses no store."""

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dagster import MetadataValue, TableColumn, TableSchema

from taxi_platform.landing.files import RawFile
from taxi_platform.landing.storage import LandedObject
from taxi_platform.sources.publications import Published
from taxi_platform.trips.schema import trip_schema

PREVIEW_ROWS = 5

SOURCE = "source"
"""The metadata entry with the address where a month was published; ``synthetic:`` if nowhere."""

SOURCE_VERSION = "source_version"
"""The metadata entry of a raw file with the published version."""

CONTENT = "sha256"
"""The metadata entry of a raw file with the checksum of its content."""

SOURCE_GENERATION = "source_generation"
"""The metadata entry of a table with the generation of the GCS object it was loaded from."""

GENERATION = "generation"
"""The metadata entry of a landed file with the generation of its object in GCS."""

VERSION_IN_PLACE = "version_in_place"
"""The metadata entry of a cleaned month with the version that stores are loaded from."""

REPORT_SECONDS = 5.0


def publication_metadata(raw: RawFile, published: Published) -> dict[str, MetadataValue]:
    """Metadata of a published file: its source, and its path."""
    return {
        **source_metadata(str(published.address)),
        SOURCE_VERSION: MetadataValue.text(published.version),
        "path": MetadataValue.path(raw.path),
        **object_metadata(raw.stored),
        "size_bytes": MetadataValue.int(raw.size),
        CONTENT: MetadataValue.text(raw.sha256),
        "etag": MetadataValue.text(published.etag or "none given"),
        "last_modified": MetadataValue.text(published.last_modified or "none given"),
    }


def object_metadata(stored: LandedObject | None) -> dict[str, MetadataValue]:
    """Metadata of a landed file in a bucket; nothing if it is in a folder."""
    if stored is None:
        return {}
    return {
        "dagster/uri": MetadataValue.text(stored.uri),
        GENERATION: MetadataValue.text(str(stored.generation)),
        "crc32c": MetadataValue.text(stored.crc32c),
    }


def source_metadata(source: str | None) -> dict[str, MetadataValue]:
    """Where a month comes from; nothing if that is unknown."""
    if source is None:
        return {}
    is_link = source.startswith(("http://", "https://"))
    return {SOURCE: MetadataValue.url(source) if is_link else MetadataValue.text(source)}


def column_schema(color: str, type_name: Callable[[pa.DataType], str] = str) -> MetadataValue:
    """The canonical schema of a color as the UI's column table, with a store's names of types."""
    return schema_metadata(trip_schema(color), type_name)


def schema_metadata(
    schema: pa.Schema, type_name: Callable[[pa.DataType], str] = str
) -> MetadataValue:
    """An Arrow schema, with the descriptions in it, as the UI's column table."""
    return MetadataValue.table_schema(
        TableSchema(
            [
                TableColumn(
                    field.name,
                    type=type_name(field.type),
                    description=(field.metadata or {}).get(b"description", b"").decode() or None,
                )
                for field in schema
            ]
        )
    )


def preview(path: Path) -> MetadataValue:
    """The first rows of a cleaned file."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        head = next(file.iter_batches(PREVIEW_ROWS), None)
    return preview_of(pa.Table.from_batches([head] if head is not None else [], file.schema_arrow))


def preview_of(rows: pa.Table) -> MetadataValue:
    """The first rows as a Markdown table, without columns that are all null."""
    head = rows[:PREVIEW_ROWS]
    shown = [name for name in head.schema.names if head[name].null_count < head.num_rows]
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    lines += [
        "| " + " | ".join("" if row[name] is None else str(row[name]) for name in shown) + " |"
        for row in head.to_pylist()
    ]
    return MetadataValue.md("\n".join(lines) if head.num_rows else "no rows")


def every_few_seconds(say: Callable[[str], None]) -> Callable[[str], None]:
    """Forwards at most one message every ``REPORT_SECONDS``, so only long work shows progress."""
    last = time.monotonic()

    def report(message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS:
            last = now
            say(message)

    return report
