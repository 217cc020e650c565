"""The sensor of published months: real ticks, of a real publisher, on a real instance."""

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    DagsterInstance,
    MaterializeResult,
    SensorDefinition,
    SensorResult,
    asset,
    build_sensor_context,
    materialize,
)

from taxi_platform.assets.keys import trip_keys
from taxi_platform.automation import published_months as module
from taxi_platform.automation.months import month_keys, newest_months
from taxi_platform.automation.published_months import published_months
from taxi_platform.automation.requests import VersionLedger, started_anew
from taxi_platform.errors import PermanentStoreError
from taxi_platform.partitions import trip_partitions
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.settings import Settings, load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.sources.publisher import Publisher


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, publisher: Publisher) -> Settings:
    monkeypatch.setenv("TAXI_SOURCE_URL", publisher.template)
    monkeypatch.setenv("TAXI_COLORS", "green")
    monkeypatch.setenv("TAXI_STORES", "postgres")
    monkeypatch.setenv("TAXI_LOOKBACK_MONTHS", "6")
    monkeypatch.setenv("TAXI_REQUEST_AGAIN_SECONDS", "3600")
    return load_settings()


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


class Ticks:
    """Ticks of the sensor; what they request is loaded at once, by assets that only record it."""

    def __init__(self, chosen: Settings, instance: DagsterInstance, publisher: Publisher) -> None:
        self.sensor: SensorDefinition = published_months(chosen)
        self.source = TripSourceResource(url=publisher.template, request_seconds=5)
        self.chosen, self.instance, self.publisher = chosen, instance, publisher
        self.cursor: str | None = None
        self.said: str | None = None

    def tick(self) -> list[str]:
        """The partition keys of the runs that it requested."""
        context = build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"source": self.source}
        )
        result = self.sensor(context)
        assert isinstance(result, SensorResult)
        self.cursor, self.said = result.cursor, str(result.skip_reason)
        for request in result.run_requests or []:
            materialize(
                self._assets(),
                instance=self.instance,
                partition_key=request.partition_key,
                tags=dict(request.tags) | {"dagster/run_key": request.run_key or ""},
            )
        return [str(request.partition_key) for request in result.run_requests or []]

    def _assets(self) -> list[AssetsDefinition]:
        names = [key.to_python_identifier() for key in trip_keys(self.chosen)]
        return [self._asset(name, names[:number]) for number, name in enumerate(names)]

    def _asset(self, name: str, before: list[str]) -> AssetsDefinition:
        @asset(name=name, deps=before, partitions_def=trip_partitions(self.chosen))
        def recorded(context: AssetExecutionContext) -> MaterializeResult:
            stem = TripMonth.from_key(context.partition_key).stem
            file = self.publisher.files[f"/{stem}.parquet"]
            facts = {"sha256": sha256(file.body).hexdigest(), "source_version": file.etag}
            return MaterializeResult(metadata=facts)

        return recorded


@pytest.fixture
def ticks(chosen: Settings, instance: DagsterInstance, publisher: Publisher) -> Ticks:
    return Ticks(chosen, instance, publisher)


@pytest.mark.slow
def test_a_version_that_flaps_is_loaded_again_once_a_day_and_no_more(
    ticks: Ticks, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = newest_months(ticks.chosen)[0]
    versions = count()

    def publish(content: bytes) -> None:
        publisher.publish(f"{month.stem}.parquet", content, etag=f'"{next(versions)}"')

    publish(b"a")
    assert ticks.tick() == [month.key]
    requested = []
    for _ in range(10):
        publish(b"a")
        requested += ticks.tick()
    assert requested == [month.key]
    assert f"version of {month} changes, but the content was the same" in str(ticks.said)
    later = time.time() + 86_500
    monkeypatch.setattr(time, "time", lambda: later)
    publish(b"b")
    assert ticks.tick() == [month.key]


@pytest.mark.slow
def test_two_versions_that_alternate_are_damped_too(ticks: Ticks, publisher: Publisher) -> None:
    month = newest_months(ticks.chosen)[0]
    requested = []
    for number in range(10):
        publisher.publish(f"{month.stem}.parquet", b"a", etag=f'"{number % 2}"')
        requested += ticks.tick()
        requested += ticks.tick()
    assert requested == [month.key, month.key]


@pytest.mark.slow
def test_news_are_loaded_at_once_however_often_there_are_some(
    ticks: Ticks, publisher: Publisher
) -> None:
    month = newest_months(ticks.chosen)[0]
    for number in range(5):
        publisher.publish(f"{month.stem}.parquet", b"%d" % number, etag=f'"{number}"')
        assert ticks.tick() == [month.key]


@pytest.mark.slow
def test_a_source_that_refuses_access_to_all_months_makes_the_tick_fail(
    ticks: Ticks, publisher: Publisher
) -> None:
    newest, *others = newest_months(ticks.chosen)
    for month in (newest, *others):
        publisher.publish(f"{month.stem}.parquet", status=403)
    with pytest.raises(PermanentStoreError, match=r"access refused: .*403.*TAXI_SOURCE_URL"):
        ticks.tick()
    # Servers such as S3 answer so also if there is no such file.
    publisher.publish(f"{newest.stem}.parquet", b"a")
    assert ticks.tick() == [newest.key]


@pytest.mark.slow
def test_each_month_has_its_turn_with_a_slow_source(
    ticks: Ticks, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow: here there is time for one month a tick."""
    monkeypatch.setattr(module, "ASK_SECONDS", 0.0)
    months = newest_months(ticks.chosen)
    for month in months:
        publisher.publish(f"{month.stem}.parquet", month.key.encode())
    requested = []
    for _ in months:
        requested += ticks.tick()
    assert requested == [month.key for month in months]


@pytest.mark.slow
@pytest.mark.parametrize(
    "cursor", ["{", "[]", "3", '{"green|2024-01": 5}', '{"green|2024-01": {"version": []}}', "\x00"]
)
def test_a_cursor_that_cannot_be_read_starts_anew_and_is_reported(
    ticks: Ticks, publisher: Publisher, cursor: str
) -> None:
    month = newest_months(ticks.chosen)[0]
    publisher.publish(f"{month.stem}.parquet", b"a")
    assert ticks.tick() == [month.key]
    assert started_anew(ticks.cursor) is None
    ticks.cursor = cursor
    assert ticks.tick() == []  # it is loaded already
    assert started_anew(ticks.cursor) is not None
    assert json.loads(ticks.cursor or "")[month.key]["settled"]


def test_cursors_are_read_by_the_version_before_and_the_version_after() -> None:
    """The documentation promises that one may go back."""
    state = '{"version": "v", "requests": 2, "tries": 1, "at": 1.5, "settled": false}'
    before = f'{{"green|2024-01": {state}}}'
    assert json.loads(VersionLedger(before).to_json()) == json.loads(before)
    ledger = VersionLedger("{")
    ledger.resume_at = "green|2024-01"
    # All that version 0.1 does with an entry is to make this of it.
    fields = {"version", "requests", "tries", "at", "settled"}
    for key, entry in json.loads(ledger.to_json()).items():
        assert isinstance(key, str)
        assert set(entry) == fields
        assert isinstance(entry["version"], str)
    assert VersionLedger(ledger.to_json()).resume_at == "green|2024-01"
    more = before.replace('"tries"', '"of a later version": 1, "tries"')
    assert json.loads(VersionLedger(more).to_json()) == json.loads(before)


def test_the_newest_months_are_those_that_have_ended(chosen: Settings, tmp_path: Path) -> None:
    assert [m.year_month for m in newest_months(chosen)] == list(month_keys(chosen))[:-7:-1]
