import math
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxi_platform.trips.casting import (
    LARGEST_AMOUNT,
    cast_each,
    cast_whole,
    fits,
)
from taxi_platform.trips.failures import bad_value
from taxi_platform.trips.schema import Column, columns
from taxi_platform.trips.texts import MISSING_SPELLINGS
from taxi_platform_tests.trips.published import bounded, local

BY_NAME = {column.name: column for column in columns("green")}
CODE = BY_NAME["payment_type"]
AMOUNT = BY_NAME["fare_amount"]
TIME = BY_NAME["pickup_datetime"]
FLAG = BY_NAME["store_and_fwd_flag"]
VENDOR = BY_NAME["vendor_id"]


def each(
    values: Any, column: Column, type_: pa.DataType | None = None
) -> tuple[list[Any], list[bool]]:
    cast, bad = cast_each(pa.array(values, type=type_ or pa.string()), column)
    assert cast.type == column.type
    assert len(cast) == len(bad) == len(values)
    return cast.to_pylist(), bad.to_pylist()


GOOD_AND_BAD: dict[str, tuple[list[tuple[str, Any]], list[str]]] = {
    "payment_type": (
        [
            ("1", 1),
            ("1.0", 1),
            (" 3 ", 3),
            ("-5", -5),
            ("32767", 32767),
            ("", None),
            ("NULL", None),
            ("CASH", 2),
            (" No Charge ", 3),
            ("crd", 1),
        ],
        ["x", "1.5", "CMT", "cash only", "32768", "1e20", "inf", "1,0", "2 3", "0x1G", "1\0"],
    ),
    "fare_amount": (
        [("1", 1.0), ("-2.5", -2.5), (".00", 0.0), (" 1e3", 1000.0), ("nan", None), ("N/A", None)],
        ["x", "inf", "-Infinity", "1e13", "$3", "1.2.3", "1\0"],
    ),
    "pickup_datetime": (
        [
            ("2020-01-15 18:01:02", local("2020-01-15 18:01:02")),
            (" 2020-01-15T18:01 ", local("2020-01-15 18:01:00")),
            ("2020-01-15", local("2020-01-15")),
            ("", None),
        ],
        [
            *("x", "01/15/2020 18:01", "2020-02-30 00:00:00", "2020-01-15 25:00:00", "12"),
            "0000-01-01 00:00:00",
        ],
    ),
    "store_and_fwd_flag": (
        [
            *(("N", "N"), ("Y", "Y"), ("", None), (" N", "N"), ("\u00e9", "\u00e9")),
            *(("0", "N"), ("1", "Y"), ("2", "2"), ("n ", "N"), ("true", "Y"), ("\\N", None)),
        ],
        ["N\0", "\0"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD_AND_BAD)
@bounded
@given(data=st.data())
def test_a_bad_value_does_not_affect_other_values(name: str, data: st.DataObject) -> None:
    good, bad = GOOD_AND_BAD[name]
    texts = data.draw(st.lists(st.sampled_from([text for text, _ in good] + bad), max_size=40))

    values, marks = each(texts, BY_NAME[name])

    assert marks == [text in bad for text in texts]
    alone = {text: each([text], BY_NAME[name])[0][0] for text in texts}
    assert values == [alone[text] for text in texts]


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_good_spellings_are_cast_to_their_values(name: str) -> None:
    good, bad = GOOD_AND_BAD[name]

    assert each([text for text, _ in good], BY_NAME[name])[0] == [value for _, value in good]
    assert each(bad, BY_NAME[name])[0] == [None] * len(bad)


@pytest.mark.parametrize("column", [CODE, AMOUNT, TIME, FLAG], ids=lambda c: c.name)
def test_a_missing_value_is_null_and_not_bad(column: Column) -> None:
    values, bad = each([*MISSING_SPELLINGS, None], column)

    assert values == [None] * len(values)
    assert not any(bad)


@pytest.mark.parametrize("column", [CODE, AMOUNT, TIME, FLAG, VENDOR], ids=lambda c: c.name)
def test_the_fast_cast_reads_missing_texts_as_null(
    column: Column,
) -> None:
    texts = pa.array([*MISSING_SPELLINGS, None])

    assert cast_whole(texts, column).to_pylist() == [None] * len(texts)


EARLY_CODES = {
    "vendor_id": {"CMT": 1, "VTS": 2, "DDS": 3, "cmt": 1, "2": 2, "NA ": None},
    "payment_type": {
        **dict.fromkeys(["Credit", "CREDIT", "CRE", "Cre", "CRD", "1"], 1),
        **dict.fromkeys(["CASH", "Cash", "CAS", "Cas", "CSH"], 2),
        **dict.fromkeys(["No Charge", "NOC", "No "], 3),
        **dict.fromkeys(["Dispute", "DIS", "Dis"], 4),
        **dict.fromkeys(["UNK", "5"], 5),
        **dict.fromkeys(["NA ", ""], None),
    },
}


@pytest.mark.parametrize("name", EARLY_CODES)
@pytest.mark.parametrize(
    "type_",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())],
    ids=["string", "large_string", "dictionary"],
)
def test_words_for_codes_are_cast_from_every_text_type(name: str, type_: pa.DataType) -> None:
    texts = pa.array(list(EARLY_CODES[name]))
    array = texts.dictionary_encode() if pa.types.is_dictionary(type_) else texts.cast(type_)
    expected = list(EARLY_CODES[name].values())

    assert cast_whole(array, BY_NAME[name]).to_pylist() == expected
    values, bad = cast_each(array, BY_NAME[name])
    assert values.to_pylist() == expected
    assert not any(bad.to_pylist())


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["0", "1", "", "N", "Y", None]),
        pa.array([0.0, 1.0, math.nan, None]),
        pa.array([0, 1, None], pa.int64()),
    ],
    ids=lambda a: str(a.type),
)
def test_a_flag_of_any_type_is_cast_to_a_letter(array: pa.Array) -> None:
    meaning = {"0": "N", "1": "Y", "N": "N", "Y": "Y", 0: "N", 1: "Y", None: None, "": None}
    expected = [meaning.get(value) for value in array.to_pylist()]

    assert cast_whole(array, FLAG).to_pylist() == expected
    assert cast_each(array, FLAG)[0].to_pylist() == expected


@pytest.mark.parametrize("year", [0, 10_000, 250_000, -5])
def test_a_time_outside_the_years_1_to_9999_is_bad(year: int) -> None:
    microseconds = (year - 1970) * 365_242_500 * 86_400
    times = pa.array([0, microseconds, None], pa.timestamp("us"))

    with pytest.raises(pa.ArrowInvalid):
        cast_whole(times, TIME)
    values, bad = cast_each(times, TIME)
    assert values.to_pylist() == [local("1970-01-01"), None, None]
    assert bad.to_pylist() == [False, True, False]


def test_the_first_and_last_valid_times_fit() -> None:
    texts = pa.array(["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"])

    assert cast_whole(texts, TIME).to_pylist() == [datetime.fromisoformat(t.as_py()) for t in texts]


@bounded
@given(values=st.lists(st.floats() | st.none() | st.integers(-40_000, 40_000).map(float)))
@example(values=[1.7e308, 1.7e308])
def test_only_whole_doubles_are_cast_to_codes(values: list[float | None]) -> None:
    codes, bad = each(values, CODE, pa.float64())

    for value, code, is_bad in zip(values, codes, bad, strict=True):
        if value is None or math.isnan(value):
            assert (code, is_bad) == (None, False)
        elif value.is_integer() and -32768 <= value <= 32767:
            assert (code, is_bad) == (int(value), False)
        else:
            assert (code, is_bad) == (None, True)


@bounded
@given(values=st.lists(st.floats() | st.none()))
@example(values=[1.7e308, 1.7e308, 1.0])
@example(values=[LARGEST_AMOUNT, -LARGEST_AMOUNT])
def test_infinite_and_implausibly_large_amounts_are_bad(values: list[float | None]) -> None:
    amounts, bad = each(values, AMOUNT, pa.float64())

    for value, amount, is_bad in zip(values, amounts, bad, strict=True):
        if value is None or math.isnan(value):
            assert (amount, is_bad) == (None, False)
        elif abs(value) <= LARGEST_AMOUNT:
            assert (amount, is_bad) == (value, False)
        else:
            assert (amount, is_bad) == (None, True)


@bounded
@given(
    texts=st.lists(
        st.integers(-40_000, 40_000).map(str)
        | st.floats(width=32).map(str)
        | st.text("0123456789.eE+-xnaif \t", max_size=6)
    ),
    column=st.sampled_from([CODE, AMOUNT, TIME, FLAG]),
)
def test_the_slow_cast_accepts_everything_the_fast_cast_accepts(
    texts: list[str], column: Column
) -> None:
    for text in texts:
        array = pa.array([text])
        try:
            expected = cast_whole(array, column).to_pylist()
        except pa.ArrowInvalid:
            continue
        if text.strip() not in MISSING_SPELLINGS:
            assert each([text], column) == (expected, [False])


@pytest.mark.parametrize("values", [[math.inf], [-math.inf], [math.nan], [1.0, math.nan], [1.1e12]])
def test_the_fast_cast_rejects_implausible_numbers(values: list[float]) -> None:
    assert not fits(pa.array(values))
    with pytest.raises(pa.ArrowInvalid):
        cast_whole(pa.array(values), AMOUNT)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([], pa.float64()),
        pa.array([None, None], pa.float64()),
        pa.array([1.0, None, -LARGEST_AMOUNT]),
        pa.array([2**15], pa.int32()),
        pa.array(["N", None, ""]),
        pa.array([], pa.string()),
    ],
)
def test_ordinary_values_fit(array: pa.Array) -> None:
    assert fits(array)


@pytest.mark.parametrize(
    "array",
    [pa.array([[1], [2]]), pa.array([{"a": 1}, None]), pa.array([b"\xff", b"1"])],
    ids=["list", "struct", "binary"],
)
def test_every_value_of_an_unusable_type_is_bad_without_an_error(array: pa.Array) -> None:
    values, bad = cast_each(array, CODE)

    assert values.type == CODE.type
    assert bad[0].as_py() is True


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["1", "2"], pa.large_string()),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([1, 2], pa.int64()),
        pa.array([1, 2], pa.uint8()),
        pa.array([1.0, 2.0], pa.float32()),
        pa.array([1, 2], pa.decimal128(5, 2)),
    ],
    ids=lambda a: str(a.type),
)
def test_every_type_of_number_is_cast(array: pa.Array) -> None:
    assert cast_whole(array, CODE).to_pylist() == [1, 2]
    assert cast_each(array, CODE)[0].to_pylist() == [1, 2]


def test_an_empty_array_is_cast() -> None:
    assert each([], CODE) == ([], [])
    assert cast_each(pa.nulls(2), AMOUNT)[0].to_pylist() == [None, None]


def test_a_number_that_is_too_large_is_not_said_to_be_none() -> None:
    said = bad_value("Total", "1e15", AMOUNT)
    assert said == "Total has '1e15' (beyond 1,000,000,000,000), expected a number"
    assert bad_value("Total", "ten", AMOUNT) == "Total has 'ten', expected a number"
    assert bad_value("Total", "inf", AMOUNT) == "Total has 'inf', expected a number"
