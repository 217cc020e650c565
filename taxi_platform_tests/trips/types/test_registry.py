"""The registered trip types, and which definitions are refused."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from taxi_platform.trips.columns import AMOUNT, CODE, Column, dollars
from taxi_platform.trips.month import TripMonth, parse_file_name
from taxi_platform.trips.rules import Rule, missing
from taxi_platform.trips.schema import columns, trip_schema
from taxi_platform.trips.types import (
    TRIP_TYPES,
    default_colors,
    every_rule,
    register,
    registered,
    trip_type,
)
from taxi_platform_tests.trips.types.shuttle import SHUTTLE


def test_the_tlcs_trip_types_are_registered_in_alphabetical_order() -> None:
    assert list(TRIP_TYPES) == ["fhvhv", "green", "yellow"]
    assert all(kind.name == name for name, kind in TRIP_TYPES.items())


def test_an_opt_in_trip_type_is_not_a_default() -> None:
    assert default_colors() == ("green", "yellow")


def test_a_registered_trip_type_is_sorted_in_and_removed_again() -> None:
    with registered(SHUTTLE):
        assert list(TRIP_TYPES) == ["fhvhv", "green", "shuttle", "yellow"]
        assert default_colors() == ("green", "shuttle", "yellow")
        assert ("shuttle",) in every_rule().values()
    assert "shuttle" not in TRIP_TYPES
    with pytest.raises(ValueError, match=r"not a partition key such as"):
        TripMonth.from_key("shuttle|2024-01")


def test_a_trip_type_with_a_reused_name_is_not_mixed_up_with_the_earlier_one() -> None:
    with registered(SHUTTLE):
        assert "dogs" not in trip_schema("shuttle").names
    with_dogs = replace(SHUTTLE, columns=(*SHUTTLE.columns, Column("dogs", CODE, "Dogs.")))
    with registered(with_dogs):
        assert "dogs" in trip_schema("shuttle").names
        assert [c.name for c in columns("shuttle")][-2:] == ["dogs", "data_file_month"]


def test_a_file_name_matches_the_longest_color() -> None:
    with registered(replace(SHUTTLE, name="fhv")):
        assert parse_file_name("fhvhv_tripdata_2024-01.parquet")[0] == "fhvhv"
        assert parse_file_name("fhv_tripdata_2024-01.parquet")[0] == "fhv"


def test_an_unknown_trip_type_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown color 'blue': use one of fhvhv, green, yellow"):
        trip_type("blue")


def test_names_and_header_marks_are_unique() -> None:
    with pytest.raises(ValueError, match="a trip type named green is already registered"):
        register(replace(SHUTTLE, name="green"))
    with pytest.raises(ValueError, match=r"green and shuttle share header marks: \['lpep_\*'\]"):
        register(replace(SHUTTLE, header_marks=("lpep_*",)))
    assert list(TRIP_TYPES) == ["fhvhv", "green", "yellow"]


def test_registering_the_same_trip_type_again_changes_nothing() -> None:
    register(TRIP_TYPES["green"])
    assert list(TRIP_TYPES) == ["fhvhv", "green", "yellow"]


def test_the_mapping_is_read_only() -> None:
    with pytest.raises(TypeError):
        TRIP_TYPES["shuttle"] = SHUTTLE  # type: ignore[index]


TWICE = (*SHUTTLE.columns, Column("shuttle_line", CODE, "Again."))
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a name with a blank": ({"name": "night shuttle"}, "is not a valid trip type name"),
    "a partition key as a name": ({"name": "a|2024-01"}, "is not a valid trip type name"),
    "a missing time column": ({"time_column": "left_at"}, "no column left_at"),
    "a time column of another type": ({"time_column": "riders"}, "riders is not a time"),
    "a missing location column": ({"location_column": "station"}, "no column station"),
    "a missing total column": ({"total": "price"}, "no column price"),
    "a total that is not an amount": ({"total": "riders"}, "riders is not an amount in US dollars"),
    "a missing column to fill": ({"filled": {"dogs": "0"}}, "no column dogs"),
    "a duplicate column": (
        {"columns": (*SHUTTLE.columns, dollars("fares", "Again."))},
        "two columns are named fares",
    ),
    "a duplicate published name": ({"columns": TWICE}, "two columns are published as shuttle_line"),
    "a column for the file's month": (
        {"columns": (*SHUTTLE.columns, Column("data_file_month", AMOUNT, "Mine."))},
        "two columns are named data_file_month",
    ),
    "a duplicate rule": (
        {"rules": (*SHUTTLE.rules, Rule("departed", "again", "Again.", missing("line")))},
        "two rules are named departed",
    ),
}


@pytest.mark.parametrize(("changes", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_contradictory_trip_type_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SHUTTLE, **changes)


def test_every_trip_type_has_a_description_in_sentences() -> None:
    for kind in (*TRIP_TYPES.values(), SHUTTLE):
        assert kind.title
        assert kind.description.endswith(".")
        assert kind.first_month.day == 1
        assert kind.header_marks == tuple(mark.casefold() for mark in kind.header_marks)
        for column in kind.all_columns:
            assert column.description.endswith("."), column.name
            assert column.published_as == tuple(name.casefold() for name in column.published_as)


@pytest.mark.parametrize("module", ["month", "types", "trip_type", "types.green", "schema"])
def test_every_module_can_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import taxi_platform.trips.{module}"], check=True)
