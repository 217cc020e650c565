"""What people build on the tables: assets of their own that take a month as a frame or as Arrow."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from dagster import (
    AssetIn,
    DagsterInstance,
    ExecuteInProcessResult,
    SpecificPartitionsPartitionMapping,
    asset,
    materialize,
)

from taxi_platform.assets.trips import trip_assets
from taxi_platform.definitions import build_resources
from taxi_platform.io_managers.frames import trip_frame_type
from taxi_platform.landing.zone import LandingZone
from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

MONTH = TripMonth.from_key("green|2024-07")
OTHERS = [TripMonth.from_key(key) for key in ("green|2024-06", "yellow|2024-06")]
TABLES = ["cleaned_trips", "postgres_trips", "bigquery_trips"]
CHOSEN = ["tip_amount", "payment_type", "pickup_datetime", "store_and_fwd_flag"]


@pytest.fixture(scope="module")
def environment(stack: EmbeddedStack) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        patch.setenv("TAXI_SOURCE_URL", "synthetic")
        yield


def run(
    *assets: Any, select: list[Any] | None = None, key: str | None = MONTH.key
) -> ExecuteInProcessResult:
    chosen = load_settings()
    with DagsterInstance.ephemeral() as instance:
        return materialize(
            [*trip_assets(chosen), *assets],
            selection=select,
            partition_key=key,
            resources=build_resources(chosen),
            instance=instance,
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def loaded(environment: None, stack: EmbeddedStack) -> int:
    """The month is in both tables; its rows."""
    assert run().success
    return LandingZone(Path(stack.environment["TAXI_DATA_DIR"])).find_cleaned(MONTH).rows


def taken(table: str, kind: type, columns: list[str] | None = None) -> ExecuteInProcessResult:
    """Materializes an asset that takes a table's month and gives it back as its output."""

    def body(trips: Any) -> int:
        seen.append(trips)
        return len(trips)

    body.__annotations__["trips"] = kind
    seen.clear()
    return run_downstream(table, body, columns)


def run_downstream(
    table: str, body: Callable[..., Any], columns: list[str] | None = None
) -> ExecuteInProcessResult:
    metadata = {"columns": columns} if columns else None
    mine = asset(
        name="mine",
        partitions_def=trip_partitions(),
        ins={"trips": AssetIn(table, metadata=metadata)},
        io_manager_def=None,
    )(body)
    return run(mine, select=[mine])


seen: list[Any] = []


@pytest.mark.parametrize("table", TABLES)
def test_a_month_is_taken_as_a_frame_with_the_columns_that_were_chosen(
    loaded: int, table: str
) -> None:
    assert taken(table, pd.DataFrame, CHOSEN).success
    frame = seen[0]
    assert list(frame.columns) == CHOSEN
    assert len(frame) == loaded
    assert frame["payment_type"].isna().any(), "missing codes stay missing"
    assert frame["tip_amount"].dtype == "Float64"
    check = trip_frame_type("green", CHOSEN).type_check(None, frame)  # type: ignore[arg-type]
    assert check.success
    as_floats = frame.assign(payment_type=frame["payment_type"].astype("float64"))
    check = trip_frame_type("green", CHOSEN).type_check(None, as_floats)  # type: ignore[arg-type]
    assert not check.success


@pytest.mark.parametrize("table", TABLES)
def test_a_month_is_taken_as_arrow_whole(loaded: int, table: str) -> None:
    assert taken(table, pa.Table).success
    assert seen[0].num_rows == loaded
    assert seen[0].schema.equals(trip_schema("green"))


@pytest.mark.parametrize("table", TABLES)
def test_a_month_is_streamed_with_the_columns_that_were_chosen(loaded: int, table: str) -> None:
    sizes: list[int] = []

    def body(trips: pa.RecordBatchReader) -> None:
        assert trips.schema.names == CHOSEN
        sizes.extend(batch.num_rows for batch in trips)

    assert run_downstream(table, body, CHOSEN).success
    assert sum(sizes) == loaded


@pytest.mark.parametrize("table", TABLES)
def test_a_column_that_is_none_is_named(loaded: int, table: str) -> None:
    result = taken(table, pa.Table, ["nonsense"])
    failure = next(e for e in result.all_events if e.is_step_failure)
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "green trips have no column nonsense" in str(said.description)


def test_another_type_is_refused_with_the_way_out(loaded: int) -> None:
    result = taken("postgres_trips", dict)
    assert not result.success
    failure = next(e for e in result.all_events if e.is_step_failure)
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "annotate the input as pyarrow.RecordBatchReader, which streams" in str(said.description)


@pytest.fixture(scope="module")
def rows_by_month(loaded: int, stack: EmbeddedStack) -> dict[TripMonth, int]:
    """Three months are in both tables; the rows of each."""
    zone = LandingZone(Path(stack.environment["TAXI_DATA_DIR"]))
    for month in OTHERS:
        assert run(key=month.key).success
    return {MONTH: loaded} | {month: zone.find_cleaned(month).rows for month in OTHERS}


def run_over(
    table: str, months: list[TripMonth], body: Callable[..., Any], columns: list[str] | None = None
) -> ExecuteInProcessResult:
    """Materializes an asset without partitions that takes these months."""
    mapping = SpecificPartitionsPartitionMapping([month.key for month in months])
    metadata = {"columns": columns} if columns else None
    mine = asset(
        name="mine", ins={"trips": AssetIn(table, metadata=metadata, partition_mapping=mapping)}
    )(body)
    return run(mine, select=[mine], key=None)


@pytest.mark.parametrize("table", TABLES)
def test_several_months_follow_one_another(rows_by_month: dict[TripMonth, int], table: str) -> None:
    taken: list[Any] = []

    def body(trips: pd.DataFrame) -> None:
        taken.append(trips["data_file_month"])

    months = [MONTH, OTHERS[0]]
    assert run_over(table, months, body, ["data_file_month", "tip_amount"]).success
    expected = [m.month for m in sorted(months) for _ in range(rows_by_month[m])]
    assert taken[0].to_list() == expected


@pytest.mark.parametrize("table", TABLES)
def test_months_of_several_colors_are_taken_by_the_columns_that_they_share(
    rows_by_month: dict[TripMonth, int], table: str
) -> None:
    taken: list[int] = []

    def body(trips: pa.RecordBatchReader) -> None:
        taken.append(sum(batch.num_rows for batch in trips))

    assert run_over(table, list(rows_by_month), body, ["tip_amount"]).success
    assert taken == [sum(rows_by_month.values())]
    refused = run_over(table, list(rows_by_month), body)
    failure = next(e for e in refused.all_events if e.is_step_failure)
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "green and yellow trips have different columns" in str(said.description)
