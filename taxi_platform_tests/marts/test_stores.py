"""The marts of whole months in both stores, against another computation of the published files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from taxi_platform.assets.keys import mart_key
from taxi_platform.checks.marts import SAME_CHECK, SUMS_CHECK
from taxi_platform.definitions import build_defs
from taxi_platform.marts.checking import fingerprints, unlike, wrong_sums
from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.loading import month_relations, replace_marts
from taxi_platform.marts.relations import Account
from taxi_platform.settings import Settings, load_settings
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.base import TableStore
from taxi_platform.stores.registry import STORES
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform.trips.zones import synthetic_zones
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.marts.months import QUERIES, expected_marts
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

NAME = "marts_test"
CHARGED = TripMonth.from_key("green|2025-02")
FOR_HIRE = TripMonth.from_key("fhvhv|2025-02")
REAL = [TripMonth.from_key(f"green|{month}") for month in ("2022-01", "2024-01")]


@dataclass(frozen=True)
class Platform:
    """Runs of the platform's jobs, and what its stores hold afterwards."""

    publisher: Publisher
    folder: Path

    @property
    def chosen(self) -> Settings:
        return load_settings()

    def published(self, month: TripMonth, rows: int) -> Path:
        path = self.folder / f"{month.stem}_{rows}.parquet"
        write_synthetic_month(month, path, rows)
        return path

    def ingest(self, month: TripMonth, path: Path) -> ExecuteInProcessResult:
        self.publisher.publish(f"{month.stem}.parquet", path.read_bytes())
        with DagsterInstance.ephemeral() as instance:
            job = build_defs(self.chosen).resolve_job_def("ingest_month")
            result = job.execute_in_process(
                partition_key=month.key, instance=instance, raise_on_error=False
            )
        failures = [e.step_failure_data for e in result.all_events if e.is_step_failure]
        assert result.success, [f.user_failure_data or f.error for f in failures]
        return result


@pytest.fixture(scope="module")
def platform(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp(NAME)
    with running_publisher() as publisher, pytest.MonkeyPatch.context() as patch:
        changed = {
            "TAXI_SOURCE_URL": publisher.template,
            "TAXI_DATA_DIR": str(folder / "data"),
            "TAXI_COLORS": "fhvhv,green,yellow",
            "TAXI_BIGQUERY_DATASET": NAME,
            "TAXI_POSTGRES_SCHEMA": NAME,
        }
        for name, value in (stack.environment | changed).items():
            patch.setenv(name, value)
        publisher.publish("taxi_zone_lookup.csv", synthetic_zones())
        yield Platform(publisher, folder)


@pytest.fixture(scope="module")
def charged(platform: Platform) -> Path:
    """A month with the congestion fee is loaded; its published file."""
    path = platform.published(CHARGED, 9_000)
    platform.ingest(CHARGED, path)
    return path


def rows_of(store: TableStore, mart: str, month: TripMonth) -> set[tuple[Any, ...]]:
    names = [column.name for column in MARTS[mart].columns]
    found = store.stream_rows(MARTS[mart].table(month.color), month.month, names).read_all()
    columns = [column.to_pylist() for column in found.columns]
    return {
        tuple(float(v) if isinstance(v, int | float) else v for v in row)
        for row in zip(*columns, strict=True)
    }


def lookup(folder: Path) -> Path:
    path = folder / "lookup.csv"
    path.write_bytes(synthetic_zones())
    return path


@pytest.mark.parametrize("name", ["bigquery", "postgres"])
def test_each_mart_is_what_another_computation_of_the_published_file_says(
    platform: Platform, charged: Path, name: str
) -> None:
    expected = expected_marts(charged, CHARGED.month, lookup(platform.folder))
    with platform.chosen.open_store(name) as store:
        for mart in QUERIES:
            assert rows_of(store, mart, CHARGED) == expected[mart], mart
    assert any(row[3] for row in expected["congestion_days"])


@pytest.mark.real_data
@pytest.mark.parametrize("month", REAL, ids=lambda month: month.year_month)
def test_marts_of_real_months_are_those_of_the_published_file_to_the_cent_and_the_row(
    platform: Platform, real_data: Path, month: TripMonth
) -> None:
    path = real_data / "tlc_months" / f"{month.stem}.parquet"
    zones = real_data / "taxi_zone_lookup.csv"
    platform.publisher.publish(zones.name, zones.read_bytes())
    try:
        platform.ingest(month, path)
    finally:
        platform.publisher.publish(zones.name, synthetic_zones())
    expected = expected_marts(path, month.month, zones)
    for name in ("bigquery", "postgres"):
        with platform.chosen.open_store(name) as store:
            for mart in QUERIES:
                assert rows_of(store, mart, month) == expected[mart], (name, mart)


def test_every_mart_and_check_is_part_of_the_job_and_has_its_metadata(
    platform: Platform, charged: Path
) -> None:
    result = platform.ingest(CHARGED, charged)
    stored = {
        event.asset_key: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    for store in ("bigquery", "postgres"):
        for mart in MARTS:
            metadata = stored[mart_key(STORES[store], mart)]
            relation = metadata["dagster/relation_identifier"].value
            assert str(relation).endswith(f"{NAME}.green_{mart}")
            assert metadata["dagster/partition_row_count"].value
    checks = {
        (check.asset_key.to_user_string(), check.check_name): check
        for check in result.get_asset_check_evaluations()
    }
    for mart in MARTS:
        assert checks[f"bigquery_{mart}", SUMS_CHECK].passed
        assert checks[f"postgres_{mart}", SUMS_CHECK].passed
        same = checks[f"postgres_{mart}", SAME_CHECK]
        assert same.passed
        assert same.metadata["compared"].value == "by the digests of their rows"


def test_the_account_of_the_month_is_in_the_mart_and_unknown_of_another_version(
    platform: Platform, charged: Path
) -> None:
    with platform.chosen.open_store("postgres") as store:
        account = {row[0]: row[1] for row in rows_of(store, "quality_months", CHARGED)}
        assert sum(account.values()) == 9_000
        assert account["zero_passengers"] > 0
        dialect = STORES["postgres"].dialect
        assert dialect is not None
        rejected = {reason: rows for reason, rows in account.items() if reason != "kept"}
        kept, cents = int(account["kept"]), store.totals(CHARGED).cents["total_amount"]
        # A version with as many rows, but another total, is another version.
        for rows, total, known in (
            (kept + 1, cents, {}),
            (kept, cents + 1, {}),
            (kept, None, {}),
            (kept, cents, rejected),
        ):
            given = month_relations(store, dialect, CHARGED, Account(rows, total, rejected))
            replace_marts(store, CHARGED, given, [MARTS["quality_months"]])
            found = {row[0]: row[1] for row in rows_of(store, "quality_months", CHARGED)}
            assert found == {"kept": account["kept"]} | known


def test_the_view_of_a_mart_has_all_colors_and_its_ratios_and_that_of_the_trips_what_they_share(
    platform: Platform, charged: Path
) -> None:
    yellow = TripMonth.from_key("yellow|2025-02")
    platform.ingest(yellow, platform.published(yellow, 2_000))
    for name in ("bigquery", "postgres"):
        with platform.chosen.open_store(name) as store:
            found = first_rows(
                store,
                "SELECT color, SUM(miles) * 3600 / SUM(seconds), MIN(mph), MAX(mph), COUNT(*) "
                f"FROM {NAME}.hour_speeds WHERE data_file_month = DATE '2025-02-01' "
                "GROUP BY color ORDER BY color",
                9,
            )
            assert [row[0] for row in found.rows] == ["green", "yellow"]
            for _, mean, least, most, rows in found.rows:
                assert least < mean < most
                assert rows <= 7 * 24
            trips = first_rows(store, f"SELECT * FROM {NAME}.trips", 1)
            assert {"color", "pickup_datetime", "pickup_location_id"} <= set(trips.columns)
            # Trips for hire, of which there are none yet, will have no totals.
            assert not {"trip_type", "airport_fee", "total_amount"} & set(trips.columns)
            counted = first_rows(
                store,
                f"SELECT color, COUNT(*) FROM {NAME}.trips WHERE data_file_month = "
                "DATE '2025-02-01' GROUP BY color ORDER BY color",
                9,
            )
            totals = [store.totals(month).rows for month in (CHARGED, yellow)]
            assert [tuple(row) for row in counted.rows] == list(
                zip(("green", "yellow"), totals, strict=True)
            )


def test_another_color_has_the_marts_of_its_columns_and_no_others(platform: Platform) -> None:
    result = platform.ingest(FOR_HIRE, platform.published(FOR_HIRE, 2_000))
    stored = {
        e.asset_key.to_user_string()
        for e in result.get_asset_materialization_events()
        if e.asset_key
    }
    assert "postgres_zone_days" in stored
    assert "postgres_payment_tips" not in stored
    with platform.chosen.open_store("bigquery") as store:
        rows = rows_of(store, "zone_days", FOR_HIRE)
        assert sum(row[2] for row in rows) == store.totals(FOR_HIRE).rows
        assert {row[3] for row in rows} == {None}, "no passengers are recorded"


def test_a_month_that_is_published_again_leaves_nothing_of_the_old_one_in_its_marts(
    platform: Platform,
) -> None:
    month, neighbour = (TripMonth.from_key(f"green|2024-{n}") for n in ("05", "06"))
    platform.ingest(neighbour, platform.published(neighbour, 1_100))
    before: dict[str, set[tuple[Any, ...]]] = {}
    for rows in (1_200, 1_250):
        path = platform.published(month, rows)
        platform.ingest(month, path)
        expected = expected_marts(path, month.month, lookup(platform.folder))
        for name in ("bigquery", "postgres"):
            with platform.chosen.open_store(name) as store:
                found = {mart: rows_of(store, mart, month) for mart in QUERIES}
                assert found == expected
                others = {f"{name} {m}": rows_of(store, m, neighbour) for m in QUERIES}
        assert before in ({}, others)
        before = others


def test_a_mart_that_does_not_add_up_or_differs_between_stores_is_named(
    platform: Platform, charged: Path, stack: EmbeddedStack
) -> None:
    marts = [mart for mart in MARTS.values() if mart.name != "quality_months"]
    chosen = platform.chosen
    dialect, theirs = (STORES[name].dialect for name in ("postgres", "bigquery"))
    assert dialect is not None
    assert theirs is not None
    with (
        chosen.open_store("postgres") as store,
        chosen.open_store("bigquery") as other,
        psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection,
    ):

        def differing() -> set[str]:
            here = fingerprints(store, dialect, CHARGED, marts)
            there = fingerprints(other, theirs, CHARGED, marts)
            return {name for name in here if here[name] != there[name]}

        given = month_relations(store, dialect, CHARGED, None)
        assert not any(wrong_sums(store, CHARGED, given, marts).values())
        assert differing() == set()
        # The sums stay the same, so only the other store shows it.
        connection.execute(
            f"UPDATE {NAME}.green_borough_pairs SET pickup_borough = 'Bronx' "
            "WHERE pickup_borough = 'Queens' AND dropoff_borough = 'Brooklyn'"
        )
        assert not any(wrong_sums(store, CHARGED, given, marts).values())
        assert differing() == {"borough_pairs"}
        assert "Bronx" in unlike(store, other, CHARGED, MARTS["borough_pairs"])[0]
        connection.execute(
            f"UPDATE {NAME}.green_zone_days SET tip_cents = tip_cents + 1, miles = miles + 0.001 "
            "WHERE ctid = (SELECT min(ctid) FROM {0}.green_zone_days WHERE "
            "data_file_month = '2025-02-01')".format(NAME)
        )
        wrong = wrong_sums(store, CHARGED, given, marts)
        assert [said.partition(" adds up")[0] for said in wrong["zone_days"]] == [
            "miles",
            "tip_cents",
        ]
        assert differing() == {"borough_pairs", "zone_days"}
        # Sums do not show that a row of a reason is there twice.
        connection.execute(
            f"INSERT INTO {NAME}.green_quality_months SELECT * FROM {NAME}.green_quality_months "
            "WHERE reason = 'zero_passengers' AND data_file_month = '2025-02-01'"
        )
        said = unlike(store, other, CHARGED, MARTS["quality_months"])
        assert "reason zero_passengers" in said[1]
        assert "more often in 127.0.0.1" in said[1]
        replace_marts(store, CHARGED, given, marts)
        assert differing() == set()
        assert not unlike(store, other, CHARGED, MARTS["zone_days"])


def test_a_failed_check_of_a_mart_fails_the_run(
    platform: Platform, charged: Path, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> dict[str, list[str]]:
        return {name: ["trips adds up to 1 instead of 2"] for name in MARTS}

    monkeypatch.setattr("taxi_platform.checks.marts.wrong_sums", short)
    key = mart_key(STORES["postgres"], "zone_days")
    defs = build_defs(platform.chosen)
    with DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=CHARGED.key,
            instance=instance,
            raise_on_error=False,
            asset_selection=[key],
        )
    assert not result.success
    (check,) = (c for c in result.get_asset_check_evaluations() if c.check_name == SUMS_CHECK)
    assert "materialize postgres_zone_days for this partition again" in (check.description or "")


def test_one_store_alone_has_its_marts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_STORES", "postgres")
    graph = build_defs(load_settings()).resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {f"postgres_{mart}" for mart in MARTS} <= names
    assert not any(name.startswith("bigquery") for name in names)
    assert {key.name for key in graph.asset_check_keys} & {SAME_CHECK} == set()


def test_a_month_without_trips_makes_no_mart(platform: Platform, charged: Path) -> None:
    never = TripMonth("green", date(2019, 3, 1))
    dialect = STORES["postgres"].dialect
    assert dialect is not None
    with (
        platform.chosen.open_store("postgres") as store,
        pytest.raises(Exception, match=r"green\|2019-03: .* has no rows of this month"),
    ):
        month_relations(store, dialect, never, None)
