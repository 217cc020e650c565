"""The IO manager of a table store: for trips, and for tables of users' assets.

A month of trips is loaded from its file or object. The result of another asset, Arrow or pandas, is
written to a table of its own. An asset ``tips`` with the partitions of the trips has the tables
``green_tips`` and ``yellow_tips``; partitioned by month or not at all, it has the table ``tips``.
In either case a partition is replaced whole or not at all.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dagster import (
    AssetKey,
    AssetSpec,
    ConfigurableIOManager,
    Failure,
    InputContext,
    MetadataValue,
    MultiPartitionsDefinition,
    OutputContext,
)

from taxi_platform.errors import PermanentStoreError
from taxi_platform.io_managers.annotated import (
    Rows,
    as_annotated,
    chosen_columns,
    trips_as_annotated,
)
from taxi_platform.io_managers.failures import as_failures, month_of
from taxi_platform.io_managers.metadata import (
    SOURCE_GENERATION,
    column_schema,
    every_few_seconds,
    schema_metadata,
    source_metadata,
)
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.files import TripParquet
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.loading import TRIPS_VIEW
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.stores.base import Load
from taxi_platform.stores.gcs.objects import TripObject
from taxi_platform.stores.registry import STORES
from taxi_platform.stores.rows import storable
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH

if TYPE_CHECKING:
    import pandas as pd


_RESERVED = re.compile(r"_trips(_\d{4}_\d\d)?$")
"""Tables of trips, and in Postgres of their months."""

_VIEWS = {TRIPS_VIEW, *MARTS}


class TableIOManager(ConfigurableIOManager):
    """Writes and reads the tables of one store."""

    store_name: str
    store: TableStoreResource

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Replaces the partition by a cleaned month, or by the rows that an asset returned."""
        if isinstance(obj, TripParquet | TripObject):
            self._load_trips(context, obj)
        else:
            with as_failures(context.asset_key.to_user_string(), context):
                rows = _reader(context, obj)
            self._load_rows(context, rows)

    def load_input(self, context: InputContext) -> Rows:
        """The partitions' rows as Arrow or pandas, depending on the input's annotation."""
        if context.asset_key.path == [STORES[self.store_name].asset]:
            return trips_as_annotated(context, lambda month: self._stream_trips(context, month))
        if len(context.asset_partition_keys if context.has_asset_partitions else []) > 1:
            raise Failure(
                f"{context.asset_key.to_user_string()}: one partition of a derived table is read "
                "at a time: give the input a partition mapping that chooses one",
                allow_retries=False,
            )
        table, month = _derived_table(context)
        with as_failures(table, context), self.store.get_store() as store:
            schema = store.stream_rows(table, month, chosen_columns(context)).schema
        rows = pa.RecordBatchReader.from_batches(
            schema, self._stream_rows(context, table, month, schema.names)
        )
        return as_annotated(context, rows, lambda found: found.to_pandas())

    def _load_trips(self, context: OutputContext, obj: TripParquet | TripObject) -> None:
        month = obj.month
        say = every_few_seconds(context.log.info)
        with as_failures(month, context), self.store.get_store() as store:
            load = store.replace_month(obj, lambda progress: say(f"{month}: {progress}"))
        source = source_metadata(obj.source)
        if isinstance(obj, TripObject):
            source |= {
                "source_uri": MetadataValue.text(obj.uri),
                SOURCE_GENERATION: MetadataValue.text(str(obj.generation)),
            }
        set_content_version(context, obj.crc32c, obj.size)
        context.add_output_metadata(
            described(load)
            | {"dagster/column_schema": column_schema(month.color, load.type_name)}
            | source
        )

    def _load_rows(self, context: OutputContext, rows: pa.RecordBatchReader) -> None:
        table, month = _derived_table(context)
        with as_failures(table, context), self.store.get_store() as store:
            load = store.replace_rows(table, month, _with_month(rows, month))
        columns = schema_metadata(storable(table, rows).schema, load.type_name)
        context.add_output_metadata(described(load) | {"dagster/column_schema": columns})

    def _stream_trips(self, context: InputContext, month: TripMonth) -> Iterator[pa.RecordBatch]:
        # The client stays open as long as the stream, which may be read long after this returns.
        rows = 0
        with as_failures(month, context), self.store.get_store() as store:
            for batch in store.stream_month(month, chosen_columns(context)):
                rows += batch.num_rows
                yield batch
            if not rows:  # no month of trips is empty
                raise PermanentStoreError(
                    f"{month}: {store.address} has no rows of this month: materialize "
                    f"{STORES[self.store_name].asset} for this partition first"
                )

    def _stream_rows(
        self, context: InputContext, table: str, month: date | None, names: list[str]
    ) -> Iterator[pa.RecordBatch]:
        with as_failures(table, context), self.store.get_store() as store:
            yield from store.stream_rows(table, month, names)


def described(load: Load) -> dict[str, Any]:
    """The metadata of a replaced partition."""
    found: dict[str, Any] = {
        "dagster/relation_identifier": load.table,
        "dagster/partition_row_count": load.rows,
        **load.details,
    }
    return found | {"table": MetadataValue.url(load.url)} if load.url else found


def _name(key: AssetKey) -> str:
    """The name of an asset's table, without its color. A mart has the same in every store."""
    name = "_".join(key.path)
    marts = (name.removeprefix(f"{store}_") for store in STORES)
    return next((mart for mart in marts if mart in MARTS), name)


def tables_of(spec: AssetSpec, colors: Sequence[str]) -> list[str]:
    """The tables that a user's asset is written to."""
    name = _name(spec.key)
    if isinstance(spec.partitions_def, MultiPartitionsDefinition):
        return [f"{color}_{name}" for color in colors]
    return [name]


def _derived_table(context: InputContext | OutputContext) -> tuple[str, date | None]:
    """The table of a user's asset, and the first day of its month if it has one."""
    name = _name(context.asset_key)
    if not context.has_asset_partitions:
        _refuse_reserved(name, name)
        return name, None
    keys = list(context.asset_partition_keys)
    if len(keys) == 1 and "|" not in keys[0]:
        try:
            month = datetime.strptime(keys[0], "%Y-%m").date()  # noqa: DTZ007
        except ValueError:
            raise Failure(
                f"{name}: its partition is {keys[0]!r}: a table is partitioned by color and month "
                "(trip_partitions()), by month (keys such as 2024-01), or not at all",
                allow_retries=False,
            ) from None
        _refuse_reserved(name, name)
        return name, month
    trips = month_of(context)
    _refuse_reserved(name, f"{trips.color}_{name}")
    return f"{trips.color}_{name}", trips.month


def _refuse_reserved(asset: str, table: str) -> None:
    """Refuses an asset whose table would have the name of one of the platform's tables or views."""
    if table == "taxi_zones" or table in _VIEWS or _RESERVED.search(table):
        raise Failure(
            f"{asset}: its table would be {table}, a name reserved for the trips: give the asset "
            "another name",
            allow_retries=False,
        )


def _reader(context: OutputContext, obj: Any) -> pa.RecordBatchReader:
    """The result of an asset as a stream of Arrow batches."""
    if isinstance(obj, pa.RecordBatchReader):
        return obj
    if isinstance(obj, pa.RecordBatch):
        obj = pa.Table.from_batches([obj])
    if type(obj).__name__ == "DataFrame" and type(obj).__module__.startswith("pandas."):
        obj = _table_of(obj)
    if isinstance(obj, pa.Table):
        return obj.to_reader()
    raise Failure(
        f"{context.asset_key.to_user_string()}: return a pandas.DataFrame, a pyarrow.Table or a "
        f"pyarrow.RecordBatchReader: a table cannot be made of {type(obj).__name__}",
        allow_retries=False,
    )


def _table_of(frame: "pd.DataFrame") -> pa.Table:
    """A frame as Arrow; an index with a name, as ``groupby`` makes it, becomes columns."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


def _with_month(rows: pa.RecordBatchReader, month: date | None) -> pa.RecordBatchReader:
    """The same rows with the partition's column, unless they have it already."""
    if month is None or DATA_FILE_MONTH in rows.schema.names:
        return rows
    column = pa.field(DATA_FILE_MONTH, pa.date32())
    schema = rows.schema.append(column)
    value = pa.scalar(month, pa.date32())

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            arrays = [*batch.columns, pa.repeat(value, batch.num_rows)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
