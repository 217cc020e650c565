from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.arrow_values import (
    booleans,
    booleans_of,
    chosen_texts,
    integers,
    numbers_of,
    scalar,
    texts,
)
from taxi_platform_tests.trips.published import bounded

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@bounded
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_integers_equals_pa_array(values: list[int]) -> None:
    made = integers(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.int64()))


@bounded
@given(values=st.lists(st.booleans(), max_size=20))
def test_booleans_equals_pa_array(values: list[bool]) -> None:
    made = booleans(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.bool_()))


@bounded
@given(values=st.lists(st.none() | WORDS, max_size=20))
def test_texts_equals_pa_array(values: list[str | None]) -> None:
    for type_ in (pa.string(), pa.large_string()):
        made = texts(values, type_)
        made.validate(full=True)
        assert made.equals(pa.array(values, type_))


@bounded
@given(values=st.lists(st.booleans(), max_size=20), start=st.integers(0, 20))
def test_booleans_of_inverts_booleans(values: list[bool], start: int) -> None:
    assert booleans_of(booleans(values)[start:]).tolist() == values[start:]


@bounded
@given(
    names=st.lists(WORDS, min_size=1, max_size=4),
    rows=st.lists(st.integers(0, 15), max_size=20),
)
def test_chosen_texts_are_the_names_of_each_row(names: list[str], rows: list[int]) -> None:
    table = [[bool(row >> at & 1) for at in range(len(names))] for row in rows]

    made = chosen_texts(np.array(table, dtype=np.bool_).reshape(-1, len(names)), texts(names))

    made.validate(full=True)
    assert made.type == pa.list_(pa.string())
    assert made.to_pylist() == [
        [name for name, is_chosen in zip(names, row, strict=True) if is_chosen] for row in table
    ]


@pytest.mark.parametrize(
    ("spelled", "type_", "value"),
    [
        ("0", pa.int16(), 0),
        ("2024-02-29", pa.date32(), date(2024, 2, 29)),
        ("2024-02-29T23:59:59", pa.timestamp("us"), datetime(2024, 2, 29, 23, 59, 59)),  # noqa: DTZ001
    ],
)
def test_a_scalar_is_parsed_from_text(spelled: str, type_: pa.DataType, value: object) -> None:
    assert scalar(spelled, type_).equals(pa.scalar(value, type_))


@pytest.mark.parametrize("type_", [pa.int16(), pa.int64(), pa.float32(), pa.float64()])
def test_numbers_of_respects_the_offset_of_a_slice(type_: pa.DataType) -> None:
    array = pa.array([1, 2, 3, 4, 5], type_)
    assert numbers_of(array).tolist() == [1, 2, 3, 4, 5]
    assert numbers_of(array[1:4]).tolist() == [2, 3, 4]
    assert numbers_of(array[5:]).tolist() == []
