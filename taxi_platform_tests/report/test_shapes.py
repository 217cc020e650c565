"""Which shapes the map has, and what the report says of those that it lacks."""

from collections.abc import Iterator

import psycopg
import pytest

from taxi_platform.report.shapes import shapes_of
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

SCHEMA = "shaped"


@pytest.fixture
def connection(stack: EmbeddedStack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        yield connection
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_what_stands_in_for_the_zones_says_why(
    stack: EmbeddedStack, connection: psycopg.Connection
) -> None:
    store = PostgresStore(stack.postgres(), SCHEMA)

    def note() -> str:
        shapes = shapes_of(store)
        assert (shapes.kind == "zone") == shapes.note.startswith("Shapes of the zones")
        return shapes.note

    assert "which are not loaded" in note()
    connection.execute(f"CREATE TABLE {SCHEMA}.taxi_zones (location_id int, zone text)")
    connection.execute(f"INSERT INTO {SCHEMA}.taxi_zones VALUES (1, 'Newark')")
    assert "which are loaded without shapes" in note()
    connection.execute(f"ALTER TABLE {SCHEMA}.taxi_zones ADD geometry text DEFAULT 'POLYGON (0'")
    assert "which cannot be read from taxi_zones" in note()
    connection.execute(
        f'UPDATE {SCHEMA}.taxi_zones SET geometry = \'{{"type": "Polygon", "coordinates": []}}\''
    )
    assert note() == "Shapes of the zones: the TLC's."
    connection.execute(f"ALTER TABLE {SCHEMA}.taxi_zones RENAME zone TO name")
    assert "which cannot be read from taxi_zones" in note()
