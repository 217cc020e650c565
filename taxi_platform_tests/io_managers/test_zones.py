"""The zones in every store, written and read by their IO manager."""

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
