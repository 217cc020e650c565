from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.types import TRIP_TYPES
from taxi_platform_tests.trips.published import bounded

MONTHS = st.dates(date(1900, 1, 1), date(2999, 12, 31)).map(lambda day: day.replace(day=1))


@bounded
@given(color=st.sampled_from(list(TRIP_TYPES)), month=MONTHS)
def test_a_month_is_parsed_from_its_key_and_its_file_name(color: str, month: date) -> None:
    trips = TripMonth(color, month)

    assert TripMonth.from_key(trips.key) == trips
    assert parse_file_name(f"{trips.stem}.parquet") == (color, month)


def test_keys_and_names_are_those_of_dagster_and_the_tlc() -> None:
    month = TripMonth("green", date(2024, 1, 1))

    assert month.key == str(month) == "green|2024-01"
    assert month.year_month == "2024-01"
    assert month.stem == "green_tripdata_2024-01"


def test_colors_are_in_alphabetical_order() -> None:
    assert list(TRIP_TYPES) == sorted(TRIP_TYPES)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "green",
        "green|2024-1",
        "green|2024-13",
        "green|2024-00",
        "green|0000-01",
        "green|2024-01-01",
        "green|2024-01\n",
        " green|2024-01",
        "Green|2024-01",
        "blue|2024-01",
        "2024-01|green",
        "green|\u0662\u0660\u0662\u0664-01",
    ],
)
def test_an_invalid_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not a partition key such as") as error:
        TripMonth.from_key(key)
    assert repr(key) in str(error.value)


def test_an_unknown_color_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'blue': use one of fhvhv, green, yellow"):
        TripMonth("blue", date(2024, 1, 1))


def test_a_day_other_than_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="2024-01-02 is not the first day"):
        TripMonth("green", date(2024, 1, 2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("green_tripdata_2024-01.parquet", ("green", date(2024, 1, 1))),
        ("yellow_tripdata_sample_2019-06.csv", ("yellow", date(2019, 6, 1))),
        ("Yellow_Tripdata_2019-12.csv.gz", ("yellow", date(2019, 12, 1))),
        ("2021-07.csv", (None, date(2021, 7, 1))),
        ("green.csv", ("green", None)),
        ("trips.csv", (None, None)),
        ("green_2024-13.csv", ("green", None)),
        ("green_12024-01.csv", ("green", None)),
        ("green_2024-011.csv", ("green", None)),
        ("green_0000-01.csv", ("green", None)),
    ],
)
def test_color_and_month_are_parsed_from_a_file_name(
    name: str, expected: tuple[str | None, date | None]
) -> None:
    assert parse_file_name(name) == expected
