"""Every type of a column has a name in every store."""

import pytest

from taxi_platform.io_managers.frames import trip_frame
from taxi_platform.stores.bigquery.types import bigquery_schema
from taxi_platform.stores.postgres.types import column_definitions
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.types import TRIP_TYPES


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_the_columns_of_every_kind_of_trip_have_a_type_in_both_tables(color: str) -> None:
    schema = trip_schema(color)

    in_bigquery = bigquery_schema(schema)
    in_postgres = column_definitions(schema).as_string()

    assert [field.name for field in in_bigquery] == schema.names
    assert all(f'"{name}" ' in in_postgres for name in schema.names)


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_every_kind_of_trip_can_be_had_as_a_frame(color: str) -> None:
    assert list(trip_frame(color, trip_schema(color).empty_table()).columns) == (
        trip_schema(color).names
    )
