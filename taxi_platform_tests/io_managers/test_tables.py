"""Tables that an asset of somebody's own becomes, by its name and its partitions."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from dagster import (
    AssetIn,
    AssetsDefinition,
    DagsterInstance,
    DagsterInvalidDefinitionError,
    DailyPartitionsDefinition,
    Definitions,
    ExecuteInProcessResult,
    MonthlyPartitionsDefinition,
    PartitionsDefinition,
    asset,
    materialize,
)

from taxi_platform.assets.trips import trip_assets
from taxi_platform.definitions import build_defs, build_resources, refuse_shared_tables
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.trips.schema import trip_schema
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

MONTHS = MonthlyPartitionsDefinition(start_date="2023-01", fmt="%Y-%m")
SCHEMA = "tables_test"


@pytest.fixture(autouse=True)
def environment(stack: EmbeddedStack) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        changed = {"TAXI_POSTGRES_SCHEMA": SCHEMA, "TAXI_BIGQUERY_DATASET": SCHEMA}
        for name, value in (stack.environment | changed).items():
            patch.setenv(name, value)
        yield


def derived(
    value: Any, store: str = "postgres", partitions: PartitionsDefinition | None = None
) -> AssetsDefinition:
    """An asset ``tips`` that returns this."""

    @asset(io_manager_key=f"{store}_table", partitions_def=partitions)
    def tips() -> Any:
        return value

    return tips


def run(
    *assets: AssetsDefinition, key: str | None = None, select: list[Any] | None = None
) -> ExecuteInProcessResult:
    with DagsterInstance.ephemeral() as instance:
        return materialize(
            assets,
            selection=select,
            partition_key=key,
            resources=build_resources(load_settings()),
            instance=instance,
            raise_on_error=False,
        )


def said(result: ExecuteInProcessResult) -> str:
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    return str(data.description)


def metadata(result: ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("tips")
    return {name: entry.value for name, entry in event.metadata.items()}


def rows_of(store: str, table: str) -> list[dict[str, Any]]:
    with load_settings().open_store(store) as opened:
        return opened.stream_rows(table, None).read_all().to_pylist()


TIPS = pa.table({"zone": ["a", "b"], "tip": [1.5, 2.5]})

RETURNED: dict[str, Any] = {
    "pandas.DataFrame": TIPS.to_pandas(),
    "pyarrow.Table": TIPS,
    "pyarrow.RecordBatch": TIPS.to_batches()[0],
}


@pytest.mark.parametrize("store", ["bigquery", "postgres"])
@pytest.mark.parametrize("kind", RETURNED)
def test_what_an_asset_returns_becomes_a_table_of_its_name_and_comes_back(
    store: str, kind: str
) -> None:
    tips = derived(RETURNED[kind], store)
    for _ in range(2):
        result = run(tips)
        assert result.success
    facts = metadata(result)
    assert facts["dagster/partition_row_count"] == 2
    assert facts["dagster/relation_identifier"].endswith(f"{SCHEMA}.tips")
    assert [c.name for c in facts["dagster/column_schema"].columns] == ["zone", "tip"]
    assert sorted(rows_of(store, "tips"), key=str) == TIPS.to_pylist()

    found: list[Any] = []

    @asset(ins={"tips": AssetIn("tips", metadata={"columns": ["tip"]})})
    def mine(tips: pd.DataFrame) -> None:
        found.append(tips)

    assert run(tips, mine, select=[mine]).success
    assert sorted(found[0]["tip"]) == [1.5, 2.5]
    assert list(found[0].columns) == ["tip"]
    with load_settings().open_store(store) as opened:
        opened.replace_rows("tips", None, TIPS[:0].to_reader())


def test_a_stream_is_taken_too() -> None:
    assert run(derived(TIPS.to_reader())).success
    assert rows_of("postgres", "tips") == TIPS.to_pylist()


def test_partitions_of_color_and_month_become_months_of_a_table_a_color() -> None:
    partitions = trip_partitions()
    for key, value in (("green|2023-01", 1), ("green|2023-02", 2), ("yellow|2023-01", 3)):
        assert run(derived(pa.table({"n": [value]}), partitions=partitions), key=key).success
    assert run(derived(pa.table({"n": [9]}), partitions=partitions), key="green|2023-01").success
    green = rows_of("postgres", "green_tips")
    assert sorted((str(row["data_file_month"]), row["n"]) for row in green) == [
        ("2023-01-01", 9),
        ("2023-02-01", 2),
    ]
    assert [row["n"] for row in rows_of("postgres", "yellow_tips")] == [3]

    found: list[Any] = []

    @asset(partitions_def=partitions)
    def mine(tips: pa.Table) -> None:
        found.append(tips["n"].to_pylist())

    assert run(
        derived(None, partitions=partitions), mine, key="green|2023-02", select=[mine]
    ).success
    assert found == [[2]]


def test_partitions_of_a_month_become_months_of_one_table() -> None:
    @asset(io_manager_key="postgres_table", partitions_def=MONTHS, key_prefix="of")
    def months() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    assert run(months, key="2023-01").success
    assert run(months, key="2023-02").success
    assert run(months, key="2023-02").success
    rows = rows_of("postgres", "of_months")
    assert sorted(str(row["data_file_month"]) for row in rows) == ["2023-01-01", "2023-02-01"]


REFUSED: dict[str, tuple[AssetsDefinition, str | None, str]] = {
    "a value that is no rows": (
        derived({"a": 1}),
        None,
        "tips: return a pandas.DataFrame, a pyarrow.Table or a pyarrow.RecordBatchReader",
    ),
    "days": (
        derived(TIPS, partitions=DailyPartitionsDefinition("2023-01-01")),
        "2023-01-02",
        "a table is partitioned by color and month",
    ),
    "a type that no store supports": (
        derived(pa.table({"many": [[1]]})),
        None,
        "no store supports the column many of type list",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_a_table_is_refused_with_the_way_out(kind: str) -> None:
    tips, key, why = REFUSED[kind]
    result = run(tips, key=key)
    assert not result.success
    assert why in said(result)
    assert said(result).startswith("tips: ")


def test_the_index_that_groupby_makes_becomes_a_column() -> None:
    by_zone = pd.DataFrame(TIPS.to_pylist()).groupby("zone").sum()
    assert run(derived(by_zone)).success
    assert sorted(rows_of("postgres", "tips"), key=str) == TIPS.to_pylist()


def test_a_month_of_trips_that_is_not_loaded_is_no_empty_frame() -> None:
    chosen = load_settings()

    @asset(partitions_def=trip_partitions(chosen), ins={"trips": AssetIn("postgres_trips")})
    def mine(trips: pd.DataFrame) -> None: ...

    with chosen.open_store("postgres") as store:
        store.replace_rows("green_trips", date(2020, 1, 1), _one_trip(date(2020, 1, 1)))
    result = run(*trip_assets(chosen), mine, key="green|2020-02", select=[mine])
    assert not result.success
    assert "green|2020-02" in said(result)
    assert "materialize postgres_trips" in said(result)


def _one_trip(month: date) -> pa.RecordBatchReader:
    schema = trip_schema("green")
    trip = {"pickup_datetime": datetime(2020, 1, 1), "data_file_month": month}  # noqa: DTZ001
    return pa.Table.from_pylist([trip], schema=schema).to_reader()


def test_two_assets_with_one_table_are_refused_by_name() -> None:
    @asset(partitions_def=trip_partitions(), io_manager_key="postgres_table")
    def tips() -> pa.Table:
        return TIPS

    @asset(io_manager_key="postgres_table")
    def green_tips() -> pa.Table:
        return TIPS

    chosen = load_settings()
    apart = Definitions.merge(build_defs(chosen), Definitions(assets=[tips]))
    refuse_shared_tables(apart, chosen)
    both = Definitions.merge(apart, Definitions(assets=[green_tips]))
    with pytest.raises(DagsterInvalidDefinitionError, match="table green_tips: rename one"):
        refuse_shared_tables(both, chosen)


@pytest.mark.parametrize("name", ["taxi_zones", "my_trips", "green_trips_2024_01"])
def test_the_names_of_the_trips_and_zones_are_kept_for_them(name: str) -> None:
    @asset(name=name, io_manager_key="postgres_table")
    def mine() -> pa.Table:
        return TIPS

    result = run(mine)
    assert not result.success
    assert f"its table would be {name}" in said(result)
