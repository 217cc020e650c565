from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import parse_file_name
from taxi_platform.trips.schema import (
    DATA_FILE_MONTH,
    color_of_header,
    columns,
    map_columns,
    normalize_name,
    trip_schema,
)
from taxi_platform.trips.types import TRIP_TYPES
from taxi_platform_tests.trips.published import METERED, NAMES, bounded

GREEN_2013 = (
    "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,"
    "Pickup_longitude,Pickup_latitude,Dropoff_longitude,Dropoff_latitude,Passenger_count,"
    "Trip_distance,Fare_amount,Extra,MTA_tax,Tip_amount,Tolls_amount,Ehail_fee,Total_amount,"
    "Payment_type,Trip_type "
)
GREEN_2025 = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,"
    "PULocationID,DOLocationID,passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,"
    "tolls_amount,ehail_fee,improvement_surcharge,total_amount,payment_type,trip_type,"
    "congestion_surcharge,cbd_congestion_fee"
)
YELLOW_2009 = (
    "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,"
    "Start_Lon,Start_Lat,Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,"
    "surcharge,mta_tax,Tip_Amt,Tolls_Amt,Total_Amt"
)
YELLOW_2010 = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
    "pickup_latitude,rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,"
    "fare_amount,surcharge,mta_tax,tip_amount,tolls_amount,total_amount"
)
YELLOW_2014 = YELLOW_2010.replace(",", ", ")
YELLOW_2015 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,"
    "pickup_longitude,pickup_latitude,RateCodeID,store_and_fwd_flag,dropoff_longitude,"
    "dropoff_latitude,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
    "improvement_surcharge,total_amount"
)
YELLOW_2025 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
    "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,"
    "tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge,Airport_fee,"
    "cbd_congestion_fee"
)

SHARED = """
vendor_id:int16 pickup_datetime:timestamp[us] dropoff_datetime:timestamp[us] passenger_count:int16
trip_distance:double rate_code_id:int16 store_and_fwd_flag:string pickup_location_id:int16
dropoff_location_id:int16 payment_type:int16 fare_amount:double extra:double mta_tax:double
tip_amount:double tolls_amount:double improvement_surcharge:double total_amount:double
congestion_surcharge:double
""".split()
COORDINATES = """
pickup_longitude:double pickup_latitude:double dropoff_longitude:double dropoff_latitude:double
""".split()


@pytest.mark.parametrize(
    ("color", "own"),
    [
        ("green", ["cbd_congestion_fee:double", "ehail_fee:double", "trip_type:int16"]),
        ("yellow", ["airport_fee:double", "cbd_congestion_fee:double"]),
    ],
)
def test_each_color_has_one_schema_for_all_years(color: str, own: list[str]) -> None:
    schema = trip_schema(color)

    expected = [*SHARED, *own, *COORDINATES, "data_file_month:date32[day]"]
    assert [f"{field.name}:{field.type}" for field in schema] == expected
    assert schema.field("pickup_datetime").type.tz is None
    assert [c.name for c in columns(color)] == schema.names


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_every_field_has_its_description(color: str) -> None:
    for field, column in zip(trip_schema(color), columns(color), strict=True):
        assert field.metadata == {b"description": column.description.encode()}
        assert column.description.endswith(".")


@pytest.mark.parametrize(
    ("color", "header"),
    [
        ("green", GREEN_2013),
        ("green", GREEN_2025),
        ("yellow", YELLOW_2009),
        ("yellow", YELLOW_2010),
        ("yellow", YELLOW_2014),
        ("yellow", YELLOW_2015),
        ("yellow", YELLOW_2025),
    ],
)
def test_the_headers_of_an_era_map_completely(color: str, header: str) -> None:
    published = header.split(",")

    found = map_columns(published, color)

    assert found.unknown == ()
    assert list(found.mapped) == published
    assert color_of_header(published) == color


def test_published_names_map_to_their_columns() -> None:
    early = map_columns(GREEN_2013.split(","), "green").mapped
    assert early["VendorID"].name == "vendor_id"
    assert early["lpep_pickup_datetime"].name == "pickup_datetime"
    assert early["Lpep_dropoff_datetime"].name == "dropoff_datetime"
    assert early["RateCodeID"].name == "rate_code_id"
    assert early["Trip_type "].name == "trip_type"
    first = map_columns(YELLOW_2009.split(","), "yellow").mapped
    assert {name: first[name].name for name in first if first[name].name != name.lower()} == {
        "vendor_name": "vendor_id",
        "Trip_Pickup_DateTime": "pickup_datetime",
        "Trip_Dropoff_DateTime": "dropoff_datetime",
        "Start_Lon": "pickup_longitude",
        "Start_Lat": "pickup_latitude",
        "Rate_Code": "rate_code_id",
        "store_and_forward": "store_and_fwd_flag",
        "End_Lon": "dropoff_longitude",
        "End_Lat": "dropoff_latitude",
        "Fare_Amt": "fare_amount",
        "surcharge": "extra",
        "Tip_Amt": "tip_amount",
        "Tolls_Amt": "tolls_amount",
        "Total_Amt": "total_amount",
    }
    late = map_columns(YELLOW_2025.split(","), "yellow").mapped
    assert late["PULocationID"].name == "pickup_location_id"
    assert late["DOLocationID"].name == "dropoff_location_id"
    assert late["Airport_fee"].name == "airport_fee"


@pytest.mark.real_data
def test_the_published_heads_of_every_era_map_completely(real_data: Path) -> None:
    heads = sorted((real_data / "tlc_heads").glob("*.csv"))
    assert len(heads) == 148
    for head in heads:
        color, _ = parse_file_name(head.name)
        assert color is not None
        published = head.read_bytes().partition(b"\n")[0].decode().rstrip("\r").split(",")
        assert map_columns(published, color).unknown == (), head.name
        assert color_of_header(published) == color, head.name


@pytest.mark.slow
@bounded
@given(data=st.data())
def test_case_blanks_and_a_byte_order_mark_are_ignored(data: st.DataObject) -> None:
    varied = [
        data.draw(st.sampled_from(["", " ", "\t ", "\ufeff"]))
        + "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in name)
        + data.draw(st.sampled_from(["", " ", "\r", " \r"]))
        for name in NAMES
    ]

    found = map_columns(varied, "green")

    assert list(found.mapped.values()) == list(map_columns(NAMES, "green").mapped.values())
    assert list(found.mapped) == varied


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_canonical_names_are_accepted_as_published_names(color: str) -> None:
    names = [name for name in trip_schema(color).names if name != DATA_FILE_MONTH]

    found = map_columns(names, color)

    assert [column.name for column in found.mapped.values()] == names
    assert found.unknown == ()


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_the_file_month_never_comes_from_the_file(color: str) -> None:
    found = map_columns(trip_schema(color).names, color)

    assert found.unknown == (DATA_FILE_MONTH,)


def test_unknown_columns_are_reported_with_their_published_names() -> None:
    found = map_columns(["Surge ", *NAMES, "", "surge"], "green")

    assert found.unknown == ("Surge ", "", "surge")
    assert list(found.mapped) == NAMES


def test_a_column_of_the_other_color_is_unknown() -> None:
    assert map_columns([*NAMES, "Airport_fee"], "green").unknown == ("Airport_fee",)


@pytest.mark.parametrize("second", ["VendorID", "vendor_id", " VENDORID "])
def test_two_columns_that_map_to_the_same_one_are_refused(second: str) -> None:
    with pytest.raises(TripFileError) as error:
        map_columns([*NAMES, second], "green")
    assert str(error.value) == (
        f"the file: two columns map to vendor_id: {second!r} and 'VendorID'"
    )


def test_a_file_of_a_few_known_columns_is_refused_with_its_header() -> None:
    with pytest.raises(TripFileError) as error:
        map_columns([*NAMES[:4], "Zone"], "green", "zones.csv")

    message = str(error.value)
    assert message.startswith("zones.csv is not a green trip file: no column for passenger_count, ")
    assert message.endswith(f"its header has 5: {', '.join(NAMES[:4])}, Zone")


@pytest.mark.parametrize(
    ("column", "renamed"),
    [
        ("VendorID", "Vendor"),
        ("lpep_pickup_datetime", "pickup_time"),
        ("total_amount", "total"),
        ("payment_type", "PaymentKind"),
    ],
)
def test_a_renamed_required_column_is_refused_with_the_nearest_name(
    column: str, renamed: str
) -> None:
    names = [renamed if name == column else name for name in NAMES]
    with pytest.raises(TripFileError) as error:
        map_columns(names, "green", "g.csv")

    assert str(error.value).startswith("g.csv: no column for ")
    assert f"(is it {renamed!r}?), which every green trip file has" in str(error.value)


@pytest.mark.parametrize("color", METERED)
@pytest.mark.parametrize(
    "column", [c for c in columns("green") if c.required], ids=lambda c: c.name
)
def test_a_file_without_a_required_column_is_refused(color: str, column: object) -> None:
    names = [c.name for c in columns(color) if c != column]

    with pytest.raises(TripFileError, match="no column for"):
        map_columns(names, color)


@pytest.mark.parametrize("color", TRIP_TYPES)
def test_a_file_may_lack_columns_that_are_not_required(color: str) -> None:
    required = [c.name for c in columns(color) if c.required]

    assert list(map_columns(required, color).mapped) == required


def test_a_refusal_is_one_printable_line_whatever_the_header() -> None:
    with pytest.raises(TripFileError) as error:
        map_columns(["PK\x03\x04", "\x1b[31m\u2028", "a\rb"], "yellow")

    assert str(error.value).isprintable()
    assert "PK\N{REPLACEMENT CHARACTER}" in str(error.value)


def test_a_refusal_truncates_a_long_header() -> None:
    with pytest.raises(TripFileError) as error:
        map_columns(["x" * 1_000_000], "yellow")

    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("header", "color"),
    [
        (["VendorID", "tpep_pickup_datetime"], "yellow"),
        (["VendorID", " Lpep_dropoff_datetime"], "green"),
        (["vendor_id", "pickup_datetime"], None),
        ([], None),
    ],
)
def test_the_color_is_detected_from_the_header(header: list[str], color: str | None) -> None:
    assert color_of_header(header) == color


@pytest.mark.parametrize("published", ["\ufeffVendorID", ' "VendorID"', "VENDORID\r", "'vendorid'"])
def test_names_are_normalized(published: str) -> None:
    assert normalize_name(published) == "vendorid"


def test_codes_are_int16_and_amounts_are_doubles() -> None:
    schema = trip_schema("yellow")

    assert schema.field("payment_type").type == pa.int16()
    assert schema.field("total_amount").type == pa.float64()
