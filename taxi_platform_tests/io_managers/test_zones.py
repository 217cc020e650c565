"""The zones in every store, written and read by their IO manager."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from dagster import (
    AssetIn,
    AssetsDefinition,
    DagsterInstance,
    ExecuteInProcessResult,
    asset,
    materialize,
)

from taxi_platform.definitions import build_resources
from taxi_platform.report.shapes import shapes_of
from taxi_platform.settings import load_settings
from taxi_platform.stores.answers import first_rows
from taxi_platform.trips.zones import parse_zones, synthetic_zones
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

SCHEMA = "zones_test"
ZONES = parse_zones(synthetic_zones())


@pytest.fixture
def connection(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """To Postgres, whose schema is empty; the platform uses it and a dataset of that name."""
    changed = {"TAXI_POSTGRES_SCHEMA": SCHEMA, "TAXI_BIGQUERY_DATASET": SCHEMA}
    for name, value in (stack.environment | changed).items():
        monkeypatch.setenv(name, value)
    with closing(psycopg.connect(stack.postgres().conninfo, autocommit=True)) as connected:
        connected.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        yield connected


def zones_of(table: pa.Table) -> AssetsDefinition:
    @asset(name="taxi_zones", io_manager_key="zone_tables")
    def zones() -> pa.Table:
        return table

    return zones


def run(*assets: AssetsDefinition, select: list[Any] | None = None) -> ExecuteInProcessResult:
    with DagsterInstance.ephemeral() as instance:
        return materialize(
            assets,
            selection=select,
            resources=build_resources(load_settings()),
            instance=instance,
            raise_on_error=False,
        )


def read_back() -> pa.Table:
    """The zones as an asset downstream of them is given them."""
    found: list[pa.Table] = []

    @asset(ins={"zones": AssetIn("taxi_zones")})
    def mine(zones: pa.Table) -> None:
        found.append(zones)

    assert run(zones_of(ZONES), mine, select=[mine]).success
    return found[0]


def test_every_store_holds_the_zones_once_however_often_they_are_loaded(
    connection: psycopg.Connection,
) -> None:
    for _ in range(2):
        assert run(zones_of(ZONES)).success
    chosen = load_settings()
    assert sorted(store.name for store in chosen.table_stores) == ["bigquery", "postgres"]
    for store in chosen.table_stores:
        with chosen.open_store(store.name) as opened:
            table = opened.table_name("taxi_zones")
            answer = first_rows(
                opened,
                f"SELECT COUNT(*), SUM(CASE WHEN borough = 'N/A' THEN 1 ELSE 0 END), "
                f"SUM(CASE WHEN zone IS NULL THEN 1 ELSE 0 END) FROM {table}",
                limit=1,
            )
        assert [tuple(row) for row in answer.rows] == [(265, 1, 0)]
    assert read_back().equals(ZONES)


def test_the_map_has_the_zones_of_either_store_if_it_has_shapes_and_else_the_boroughs(
    connection: psycopg.Connection,
) -> None:
    outline = {"type": "MultiPolygon", "coordinates": [[[[-74, 40.7], [-74, 40.8], [-73.9, 40.8],
                                                        [-74, 40.7]]]]}  # fmt: skip
    drawn = parse_zones(synthetic_zones(), {132: json.dumps(outline)})
    chosen = load_settings()
    for zones, kind in ((ZONES, "borough"), (drawn, "zone")):
        assert run(zones_of(zones)).success
        for store in chosen.table_stores:
            with chosen.open_store(store.name) as opened:
                shapes = shapes_of(opened)
            assert shapes.kind == kind
    (feature,) = shapes.features
    assert feature["geometry"] == outline
    assert feature["properties"] == {"place": "132", "name": "Made-up Zone 132"}
    assert shapes.place_of[132] == "132"


def test_a_load_that_fails_leaves_the_zones_as_they_were(connection: psycopg.Connection) -> None:
    # As an older version of the platform made it, or its owner would.
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    connection.execute(
        f"CREATE TABLE {SCHEMA}.taxi_zones (location_id smallint PRIMARY KEY, borough text, "
        "zone text, service_zone text)"
    )
    assert run(zones_of(ZONES)).success
    result = run(zones_of(pa.concat_tables([ZONES[:1], ZONES[:1]])))
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "taxi_zones: Postgres" in str(said.description)
    row = connection.execute(f"SELECT count(*) FROM {SCHEMA}.taxi_zones").fetchone()
    assert row == (265,)
