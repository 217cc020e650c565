"""What a mart is: one file, SQL that every store takes, columns with units and descriptions."""

import re
from dataclasses import replace

import pytest

from taxi_platform.marts.definitions import MARTS
from taxi_platform.marts.documentation import data_page
from taxi_platform.marts.mart import CENTS, Mart
from taxi_platform.marts.relations import GROUPED, Account, relations
from taxi_platform.stores.registry import STORES
from taxi_platform.stores.relations import named_in, with_clause
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.types import TRIP_TYPES
from taxi_platform_tests.conftest import PROJECT

GREEN = TripMonth.from_key("green|2024-01")
DIALECT = STORES["postgres"].dialect


def test_docs_data_md_is_current() -> None:
    page = (PROJECT / "docs" / "data.md").read_text()
    assert page == data_page(), "run make docs"


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS)
def test_every_mart_is_described_and_its_sums_are_checked(mart: Mart) -> None:
    assert mart.description.endswith(".")
    assert all(column.description.endswith((".", "'.")) for column in mart.columns)
    assert all(column.unit == CENTS for column in mart.columns if column.name.endswith("_cents"))
    dimensions = {c for groups, _ in GROUPED.values() for c in groups} | {
        *("weekday", "hour"),
        "pickup_borough",
        "dropoff_borough",
        "reason",
    }
    summed = {column.name for column in mart.columns} - dimensions
    # Rows of the file that were rejected are in no table.
    assert summed - mart.sums.keys() <= {"row_count"}
    assert "trips" in mart.sums
    # A mean or a share of a row cannot be added up with another's.
    assert not re.search(r"\bAVG\b", mart.sql)


def test_yellow_and_green_have_every_mart_and_for_hire_vehicles_those_of_their_columns() -> None:
    made = {color: {m.name for m in MARTS.values() if m.is_made_of(color)} for color in TRIP_TYPES}
    assert made["green"] == made["yellow"] == set(MARTS)
    assert set(MARTS) - made["fhvhv"] == {"payment_tips"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Zone days"}, "lower-case letters"),
        ({"sql": "DELETE FROM trips"}, "does not start with SELECT"),
        ({"sums": {"tirps": "COUNT(*)"}}, "no column tirps"),
        ({"sums": {}}, "nothing adds up"),
        ({"columns": MARTS["zone_days"].columns * 2}, "is in it twice"),
    ],
)
def test_a_mart_that_contradicts_itself_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(MARTS["zone_days"], **changes)  # type: ignore[arg-type]


def test_the_version_changes_with_the_rows_only() -> None:
    mart = MARTS["zone_days"]
    assert replace(mart, sql=mart.sql + " WHERE trips > 1").version != mart.version
    assert replace(mart, description="In other words.").version == mart.version


def test_a_statement_is_given_the_relations_that_it_names_and_no_other() -> None:
    assert DIALECT is not None
    given = relations(GREEN, "trips.green_trips", DIALECT, {}, Account(1, None, {}))
    text = with_clause(given, "SELECT reason FROM account")
    assert re.findall(r"(\w+) AS \((?=SELECT)", text) == ["pairs", "kept_rows", "account"]
    text = with_clause(given, "SELECT day FROM trips")
    assert text.startswith("WITH trips AS (SELECT CAST(pickup_datetime AS DATE) AS day")
    assert re.findall(r"(\w+) AS \((?=SELECT)", text) == ["trips"]
    assert with_clause(given, "SELECT 1 AS one") == "SELECT 1 AS one"
    # A table of a schema of that name is another.
    assert not named_in("trips", "SELECT 1 FROM trips.green_trips")


def test_a_text_from_a_lookup_cannot_end_a_literal() -> None:
    assert DIALECT is not None
    hostile = {1: "O'Hare') THEN 1 END; DROP TABLE trips; --", 2: "Queens"}
    given = relations(GREEN, "trips.green_trips", DIALECT, hostile, Account(1, 5, {"a'b": 2}))
    for relation in (given["pairs"], given["account"]):
        assert relation.sql.count("'") % 2 == 0
        assert "DROP TABLE" not in re.sub(r"'[^']*'", "", relation.sql)
    assert "'Queens'" in given["pairs"].sql


def test_a_column_that_a_color_lacks_is_null() -> None:
    assert DIALECT is not None
    given = relations(TripMonth.from_key("fhvhv|2024-01"), "t", DIALECT, {}, Account(1, None, {}))
    assert "CAST(NULL AS SMALLINT) AS passengers" in given["trips"].sql
    assert "trip_miles * 1000" in given["trips"].sql
