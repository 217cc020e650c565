"""Marts follow their trips: when they are asked for, and when not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    evaluate_automation_conditions,
)

from taxi_platform.assets.keys import LOADED, REPORT, ZONES
from taxi_platform.definitions import build_defs
from taxi_platform.marts.definitions import MARTS
from taxi_platform.settings import load_settings

# That of Dagster's own function.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

MONTH, OTHER = "green|2024-01", "yellow|2021-05"


@dataclass
class Ticks:
    """Ticks of the sensor, a minute apart, and what each requests."""

    instance: DagsterInstance
    defs: Any = field(default_factory=lambda: build_defs(load_settings()))
    cursor: Any = None
    now: datetime = datetime(2026, 5, 20, 12, tzinfo=UTC)

    def load(self, store: str, partition: str) -> None:
        event = AssetMaterialization(f"{store}_trips", partition=partition)
        self.instance.report_runless_asset_event(event)

    def make(self, store: str, partition: str) -> None:
        for mart in MARTS:
            event = AssetMaterialization(f"{store}_{mart}", partition=partition)
            self.instance.report_runless_asset_event(event)

    def report_asked(self) -> bool:
        """Whether a tick requests the report."""
        return any(r.key == REPORT and r.true_subset.size > 0 for r in self._evaluate().results)

    def _evaluate(self) -> Any:
        found = evaluate_automation_conditions(
            self.defs, self.instance, cursor=self.cursor, evaluation_time=self.now
        )
        self.cursor = found.cursor
        self.now += timedelta(minutes=1)
        return found

    def tick(self) -> dict[str, set[str]]:
        """The marts that a tick requests, by partition."""
        found = self._evaluate()
        requested: dict[str, set[str]] = {}
        for result in found.results:
            if isinstance(result.key, AssetKey) and result.key not in (LOADED, REPORT, ZONES):
                for partition in found.get_requested_partitions(result.key):
                    requested.setdefault(str(partition), set()).add(result.key.path[-1])
        return requested


def marts(store: str) -> set[str]:
    return {f"{store}_{mart}" for mart in MARTS}


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with DagsterInstance.ephemeral() as instance:
        yield Ticks(instance)


def test_months_that_were_loaded_before_there_were_marts_are_made_once(ticks: Ticks) -> None:
    ticks.load("postgres", MONTH)
    assert ticks.tick() == {MONTH: marts("postgres")}
    assert ticks.tick() == {}


def test_trips_that_are_loaded_again_replace_the_marts_of_their_store_and_month(
    ticks: Ticks,
) -> None:
    for partition in (MONTH, OTHER):
        for store in ("bigquery", "postgres"):
            ticks.load(store, partition)
            ticks.make(store, partition)
    assert ticks.tick() == {}
    ticks.load("bigquery", OTHER)
    assert ticks.tick() == {OTHER: marts("bigquery")}
    assert ticks.tick() == {}
    ticks.make("bigquery", OTHER)
    assert ticks.tick() == {}


def test_the_report_is_asked_for_when_marts_were_replaced(ticks: Ticks) -> None:
    asked = ticks.report_asked
    assert not asked()
    ticks.load("postgres", MONTH)
    ticks.make("postgres", MONTH)
    assert asked()
    assert not asked()
    ticks.make("bigquery", OTHER)  # not the store that the report asks
    assert not asked()


def test_nothing_is_asked_for_while_there_are_no_trips(ticks: Ticks) -> None:
    assert ticks.tick() == {}
    ticks.load("postgres", MONTH)
    assert ticks.tick() == {MONTH: marts("postgres")}
