"""The IO managers of the landing zone: the published file, and the cleaned Parquet."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from dagster import ConfigurableIOManager, InputContext, MetadataValue, OutputContext

from taxi_platform.errors import PermanentStoreError
from taxi_platform.io_managers.annotated import (
    Rows,
    chosen_columns,
    trips_as_annotated,
    wants_rows,
)
from taxi_platform.io_managers.charts import trips_by_day
from taxi_platform.io_managers.failures import as_failures, month_of
from taxi_platform.io_managers.metadata import (
    VERSION_IN_PLACE,
    column_schema,
    every_few_seconds,
    object_metadata,
    preview,
    source_metadata,
)
from taxi_platform.io_managers.records import recorded, recorded_for
from taxi_platform.io_managers.versions import set_content_version
from taxi_platform.landing.files import MonthVersions, RawFile, TripParquet
from taxi_platform.landing.trip_batches import batches_ahead
from taxi_platform.landing.versions import OtherVersionError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.cleaning import CleanedTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import chosen_schema

BATCH_ROWS = 65_536

T = TypeVar("T")

SETTLE_SECONDS = 5.0
"""How long a file may be of another version than the recorded one before it is refused."""


class RawFileIOManager(ConfigurableIOManager):
    """Loads a month's published file, which ``raw_trips`` itself writes."""

    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: RawFile) -> None:
        """Records the data version of the file, which is in its place already."""
        set_content_version(context, obj.sha256)

    def load_input(self, context: InputContext) -> RawFile:
        """The landed file of the partition, in the version that ``raw_trips`` recorded."""
        month = month_of(context)
        with as_failures(month, context):
            zone = self.landing.get_zone()
            return settled(lambda: zone.find_raw(month, recorded_for(context, month).latest))


class TripParquetIOManager(ConfigurableIOManager):
    """Writes a stream of cleaned trips to two files, the kept and the rejected rows."""

    landing: LandingZoneResource

    def handle_output(self, context: OutputContext, obj: CleanedTrips) -> None:
        """Writes both files of the month and records metadata."""
        month, zone = obj.month, self.landing.get_zone()
        say = every_few_seconds(context.log.info)
        with as_failures(month, context):
            trips = zone.write_cleaned(obj, lambda rows: say(f"{month}: {rows:,} rows read"))
            first_rows = preview(trips.path)
            set_content_version(context, trips.crc32c, trips.size)
        in_place: str | None = trips.version
        if zone.is_apart(trips):
            in_place = _version_in_place(context, zone, month)
            context.log.warning(
                f"{month}: this version may not take the month's place and is kept apart in "
                f"{trips.path}; the checks of cleaned_trips say why"
            )
        context.log.info(
            f"{month}: {trips.rows_read:,} rows read = {trips.rows:,} kept + "
            f"{trips.rows_rejected:,} rejected ({obj.summary.describe_rejected()})"
        )
        for warning in trips.warnings:
            context.log.warning(f"{month}: {warning}")
        total = trips.total_cents
        context.add_output_metadata(
            {
                "dagster/row_count": trips.rows,
                "dagster/column_schema": column_schema(month.color),
                "rows_read": trips.rows_read,
                "rows_rejected": trips.rows_rejected,
                "rejected_by_reason": MetadataValue.json(trips.rejected_by_reason),
                "trips_by_day": trips_by_day(
                    month,
                    trips.statistics["rows_by_day"],
                    synthetic=is_synthetic(trips.source),
                ),
                **({} if total is None else {"total_amount": total / 100}),
                "statistics": MetadataValue.json(trips.statistics),
                "columns_mapped": MetadataValue.json(
                    {name: column.name for name, column in obj.columns.mapped.items()}
                ),
                "columns_unknown": MetadataValue.json(list(obj.columns.unknown)),
                "warnings": MetadataValue.json(list(trips.warnings)),
                "path": MetadataValue.path(trips.path),
                "rejects_path": MetadataValue.path(trips.rejects_path),
                **object_metadata(trips.stored),
                "size_bytes": trips.size,
                **source_metadata(trips.source),
                "source_sha256": trips.source_sha256,
                VERSION_IN_PLACE: MetadataValue.text(in_place or ""),
                "preview": first_rows,
            }
        )

    def load_input(self, context: InputContext) -> "TripParquet | MonthVersions | Rows":
        """The cleaned file of the partition, or its rows, depending on the input's annotation.

        In the version that ``cleaned_trips`` recorded. A check is given the latest version, which
        may be kept apart; all others the one in place.
        """
        if not wants_rows(context):
            month, zone = month_of(context), self.landing.get_zone()
            with as_failures(month, context):
                if context.dagster_type.typing_type is MonthVersions:
                    return settled(
                        lambda: zone.find_versions(month, recorded_for(context, month).latest)
                    )
                return settled(lambda: _find_in_place(context, zone, month))
        return trips_as_annotated(context, lambda month: self._stream(context, month))

    def _stream(self, context: InputContext, month: TripMonth) -> Iterator[pa.RecordBatch]:
        schema = chosen_schema(month.color, chosen_columns(context))
        with as_failures(month, context):
            zone = self.landing.get_zone()
            trips = settled(lambda: _find_in_place(context, zone, month))
            with pq.ParquetFile(trips.path, pre_buffer=False) as file:
                for batch in batches_ahead(file, schema.names, BATCH_ROWS):
                    yield batch.cast(schema)


def settled(find: Callable[[], T]) -> T:
    """What finds a file in its recorded version; asked again for a few seconds.

    Another run of the month on this host replaces the file a moment before that is recorded.

    Raises:
        OtherVersionError: it stays another version.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return find()
        except OtherVersionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _find_in_place(context: InputContext, zone: LandingZone, month: TripMonth) -> TripParquet:
    """The version of a month that stores are loaded from.

    Raises:
        PermanentStoreError: it is not the recorded one, or there is none.
    """
    known = recorded_for(context, month)
    expected = known.in_place
    if known.says_in_place and expected is None:
        raise PermanentStoreError(
            f"{month}: no version is in place: the last one is kept apart, and the checks of "
            "cleaned_trips say why"
        )
    if expected and not known.says_in_place:
        # An earlier version of the platform did not record which version stayed in place.
        apart = zone.find_unaccepted(month)
        if apart is not None and apart.version == expected.content:
            expected = None
    return zone.find_cleaned(month, expected)


def _version_in_place(context: OutputContext, zone: LandingZone, month: TripMonth) -> str | None:
    """The version that stays in place of one that is kept apart, None if there is none."""
    known = recorded(context.step_context.instance, context.asset_key, month)
    if known.says_in_place:
        return known.in_place.content if known.in_place else None
    trips = zone.find_cleaned_or_none(month)
    return trips.version if trips else None
