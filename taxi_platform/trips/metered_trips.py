"""What green and yellow taxis share: columns and rules of trips that a taximeter records.

Column names follow BigQuery's public copy of this data, so that queries can be reused.
"""

from datetime import date

import pyarrow as pa

from taxi_platform.trips.columns import AMOUNT, CODE, TIME, Column, Era, degrees, dollars
from taxi_platform.trips.rules import COMMON_RULES, Rule, equal
from taxi_platform.trips.texts import FLAG, FLAGS

_VENDORS = (("cmt", "1"), ("vts", "2"), ("dds", "3"))
_PAYMENTS = (
    *(("credit", "1"), ("cre", "1"), ("crd", "1")),
    *(("cash", "2"), ("cas", "2"), ("csh", "2")),
    *(("no charge", "3"), ("noc", "3"), ("no", "3")),
    *(("dispute", "4"), ("dis", "4")),
    *(("unknown", "5"), ("unk", "5")),
)

_UNTIL_ZONES = "until 2016-06"

_PLACED_BY_ZONES = Era(since=date(2016, 7, 1))
_PLACED_BY_DEGREES = Era(until=date(2016, 6, 1), unless=("pickup_location_id",))
"""The TLC's Parquet of 2011 to June 2016 has zones instead of the coordinates in its CSV."""

METERED_COLUMNS = (
    Column(
        "vendor_id",
        CODE,
        "Provider of the record: 1 Creative Mobile Technologies, 2 VeriFone/Curb, 3 Digital "
        "Dispatch Systems, 6 Myle, 7 Helix. Null where the TLC did not publish it.",
        ("vendorid", "vendor_name"),
        required=True,
        spelled=_VENDORS,
    ),
    Column(
        "pickup_datetime",
        TIME,
        "When the meter was engaged, New York local time without zone.",
        ("lpep_pickup_datetime", "tpep_pickup_datetime", "trip_pickup_datetime"),
        required=True,
        never_null=True,
        varied=True,
    ),
    Column(
        "dropoff_datetime",
        TIME,
        "When the meter was disengaged, New York local time without zone.",
        ("lpep_dropoff_datetime", "tpep_dropoff_datetime", "trip_dropoff_datetime"),
        required=True,
        never_null=True,
        varied=True,
    ),
    Column(
        "passenger_count",
        CODE,
        "Passengers as entered by the driver. 0 means 'not recorded': by default rows with a "
        "published 0 are rejected and a missing count becomes 0.",
        required=True,
    ),
    Column(
        "trip_distance",
        AMOUNT,
        "Distance by the taximeter.",
        required=True,
        never_null=True,
        unit="miles",
    ),
    Column(
        "rate_code_id",
        CODE,
        "Final rate: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, "
        "6 group ride, 99 unknown.",
        ("ratecodeid", "rate_code"),
        required=True,
    ),
    Column(
        "store_and_fwd_flag",
        pa.string(),
        "Y if the vehicle stored the record before sending it, else N.",
        ("store_and_forward",),
        required=True,
        spelled=FLAGS,
        domain=FLAG,
    ),
    Column(
        "pickup_location_id",
        CODE,
        "TLC taxi zone of the pickup; 264 and 265 are unknown.",
        ("pulocationid",),
        eras="since 2016-07",
        always=_PLACED_BY_ZONES,
    ),
    Column(
        "dropoff_location_id",
        CODE,
        "TLC taxi zone of the dropoff; 264 and 265 are unknown.",
        ("dolocationid",),
        eras="since 2016-07",
        always=_PLACED_BY_ZONES,
    ),
    Column(
        "payment_type",
        CODE,
        "0 flex fare, 1 credit card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided.",
        required=True,
        spelled=_PAYMENTS,
    ),
    dollars("fare_amount", "Metered fare. Reversals are negative.", "fare_amt", never_null=True),
    dollars("extra", "Rush hour and night surcharges.", "surcharge"),
    dollars("mta_tax", "MTA tax."),
    dollars("tip_amount", "Card tips; cash tips are not recorded.", "tip_amt"),
    dollars("tolls_amount", "Total tolls.", "tolls_amt"),
    dollars(
        "improvement_surcharge",
        "Charged at the flag drop.",
        "imp_surcharge",
        eras="since 2015-01",
        always=Era(since=date(2015, 1, 1)),
    ),
    dollars(
        "total_amount",
        "Total charged, without cash tips. Not always the sum of the parts.",
        "total_amt",
        never_null=True,
    ),
    dollars(
        "congestion_surcharge",
        "New York State's congestion surcharge.",
        eras="since 2019-01",
        always=Era(since=date(2019, 1, 1)),
    ),
)
"""The columns that both colors have."""

CBD_CONGESTION_FEE = dollars(
    "cbd_congestion_fee",
    "The MTA's congestion relief zone charge.",
    eras="since 2025-01",
    always=Era(since=date(2025, 1, 1)),
)

COORDINATES = (
    degrees("pickup_longitude", "start_lon", _UNTIL_ZONES, _PLACED_BY_DEGREES),
    degrees("pickup_latitude", "start_lat", _UNTIL_ZONES, _PLACED_BY_DEGREES),
    degrees("dropoff_longitude", "end_lon", _UNTIL_ZONES, _PLACED_BY_DEGREES),
    degrees("dropoff_latitude", "end_lat", _UNTIL_ZONES, _PLACED_BY_DEGREES),
)
"""Where trips began and ended, until the TLC published zones instead."""

METERED_MEASURES = {
    "miles": "trip_distance",
    "passengers": "passenger_count",
    "fare": "fare_amount",
    "tip": "tip_amount",
    "payment": "payment_type",
    "congestion_fee": "cbd_congestion_fee",
}

PASSENGERS_ABOARD = Rule(
    "passengers_aboard",
    "zero_passengers",
    "The passenger count is 0. Rows with a missing count are kept.",
    equal("passenger_count", "0", CODE),
)

METERED_RULES = (*COMMON_RULES, PASSENGERS_ABOARD)
