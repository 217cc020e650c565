"""The IO manager of the zones: the same small table in every store."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from dagster import (
    InitResourceContext,
    InputContext,
    IOManager,
    IOManagerDefinition,
    OutputContext,
    io_manager,
)

from taxi_platform.io_managers.annotated import Rows, as_annotated, wants_rows
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.io_managers.metadata import preview_of, schema_metadata
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.trips.zones import ZONE_SCHEMA

TABLE = "taxi_zones"


def zone_tables(stores: Sequence[str]) -> IOManagerDefinition:
    """The IO manager of the zones, with the stores of these names."""

    @io_manager(required_resource_keys=set(stores), description="The zones, in every store.")
    def manager(context: InitResourceContext) -> ZoneTablesIOManager:
        return ZoneTablesIOManager({name: getattr(context.resources, name) for name in stores})

    return manager


class ZoneTablesIOManager(IOManager):
    """Writes the zone lookup to a table of each store, and reads it from the first."""

    def __init__(self, stores: Mapping[str, TableStoreResource]) -> None:
        self._stores = stores

    def handle_output(self, context: OutputContext, obj: pa.Table) -> None:
        """Replaces the table in every store and records metadata."""
        tables = {}
        for name, resource in self._stores.items():
            with as_failures(TABLE, context), resource.get_store() as store:
                tables[f"{name}_table"] = store.replace_rows(TABLE, None, obj.to_reader()).table
        context.add_output_metadata(
            {
                "dagster/row_count": obj.num_rows,
                "dagster/column_schema": schema_metadata(ZONE_SCHEMA),
                **tables,
                "shapes": obj.num_rows - obj["geometry"].null_count,
                "preview": preview_of(obj.drop_columns(["geometry"])),
            }
        )

    def load_input(self, context: InputContext) -> Rows:
        """The zones, ordered by id, in the annotated type; by default an Arrow table."""
        with as_failures(TABLE, context), next(iter(self._stores.values())).get_store() as store:
            rows = store.stream_rows(TABLE, None).read_all()
        # A table that an earlier version wrote has no shapes yet.
        columns = [
            rows[f.name] if f.name in rows.schema.names else pa.nulls(rows.num_rows, f.type)
            for f in ZONE_SCHEMA
        ]
        zones = pa.table(columns, names=ZONE_SCHEMA.names).cast(ZONE_SCHEMA).sort_by("location_id")
        if not wants_rows(context):
            return zones
        return as_annotated(context, zones.to_reader(), lambda found: found.to_pandas())
