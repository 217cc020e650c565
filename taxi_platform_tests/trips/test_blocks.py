import pyarrow as pa
import pytest

from taxi_platform.trips.blocks import (
    ParsedBlock,
    RowSet,
    canonical_batch,
    parsed_columns,
    reject_schema,
    split_block,
)
from taxi_platform.trips.schema import DATA_FILE_MONTH, trip_schema
from taxi_platform.trips.types import TRIP_TYPES
from taxi_platform_tests.trips.published import METERED

TEXTS = pa.array(["a", "b", "c", "d", "e"])


def text(rows: RowSet, *positions: int) -> list[str]:
    return rows.raw_text(pa.array(positions)).to_pylist()


def split(bad: list[bool]) -> ParsedBlock:
    rows = canonical_batch("green", {"payment_type": pa.array(range(5), pa.int16())}, 5)
    return split_block(rows, pa.array(range(10, 15)), pa.array(bad), TEXTS.take)


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_the_reject_schema_has_the_kept_columns_and_the_reasons(color: str) -> None:
    schema = reject_schema(color)

    assert schema.names == [*trip_schema(color).names, "reject_reasons", "line_number", "raw_text"]
    assert schema.field("reject_reasons").type == pa.list_(pa.string())
    assert schema.field("line_number").type == pa.int64()


@pytest.mark.parametrize("color", METERED)
def test_a_batch_has_canonical_order_and_nulls_for_missing_columns(color: str) -> None:
    amounts, codes = pa.array([1.5, None]), pa.array([1, 2], pa.int16())

    batch = canonical_batch(color, {"total_amount": amounts, "vendor_id": codes}, 2)

    assert batch.schema.names == trip_schema(color).names[:-1]
    assert DATA_FILE_MONTH not in batch.schema.names
    assert batch.schema.types == [column.type for column in parsed_columns(color)]
    assert batch["vendor_id"].equals(codes)
    assert batch["total_amount"].equals(amounts)
    others = set(batch.schema.names) - {"vendor_id", "total_amount"}
    assert all(batch[name].null_count == 2 for name in others)


def test_split_rows_keep_their_line_numbers_and_texts() -> None:
    block = split([False, True, False, False, True])

    assert block.unparseable is not None
    assert block.rows_read == 5
    assert block.parsed.rows["payment_type"].to_pylist() == [0, 2, 3]
    assert block.parsed.line_numbers.to_pylist() == [10, 12, 13]
    assert text(block.parsed, 2, 0) == ["d", "a"]
    assert block.unparseable.rows["payment_type"].to_pylist() == [1, 4]
    assert block.unparseable.line_numbers.to_pylist() == [11, 14]
    assert text(block.unparseable, 0, 1) == ["b", "e"]


def test_a_clean_block_has_no_unparseable_rows() -> None:
    block = split([False] * 5)

    assert block.unparseable is None
    assert block.rows_read == len(block.parsed) == 5
    assert text(block.parsed, 4) == ["e"]


def test_every_row_of_a_block_may_be_unparseable() -> None:
    block = split([True] * 5)

    assert len(block.parsed) == 0
    assert block.rows_read == 5
    assert block.unparseable is not None
    assert text(block.unparseable, 0, 4) == ["a", "e"]
