"""High-volume for-hire vehicles: Uber, Lyft and, until they closed, Via and Juno.

The columns follow the TLC's "Data Dictionary - High Volume FHV Trip Records" of March 18, 2025.
"""

from datetime import date

import pyarrow as pa

from taxi_platform.trips.columns import AMOUNT, CODE, SECONDS, TIME, Column, Era, dollars
from taxi_platform.trips.rules import COMMON_RULES
from taxi_platform.trips.synthetic_for_hire import synthetic_for_hire_months
from taxi_platform.trips.texts import FLAG, FLAGS
from taxi_platform.trips.trip_type import TripType

_SINCE_PARQUET = "Parquet only"
"""Until May 2022 the TLC published CSVs of seven columns. It then republished all as Parquet."""

_IN_PARQUET = Era(unless=("sr_flag",))
"""Only the early CSVs have ``sr_flag``."""


def _time(name: str, description: str) -> Column:
    return Column(
        name,
        TIME,
        f"{description}, New York local time without zone.",
        eras=_SINCE_PARQUET,
        always=_IN_PARQUET,
        varied=True,
    )


def _flag(name: str, description: str) -> Column:
    return Column(
        name,
        pa.string(),
        f"Y if {description}, else N.",
        # Uber, Juno and Via wrote access_a_ride_flag as a blank, a missing value, until 2023.
        spelled=FLAGS,
        domain=FLAG,
        eras=_SINCE_PARQUET,
        always=_IN_PARQUET,
    )


def _zone(name: str, end: str, published_as: str) -> Column:
    return Column(
        name,
        CODE,
        f"TLC taxi zone of the {end}; 264 and 265 are unknown.",
        (published_as,),
        required=True,
    )


_LICENSE = ".+"
"""Any text, in capitals. The TLC does not publish a format for licenses."""

TRIP_TYPE = TripType(
    name="fhvhv",
    title="High-volume for-hire vehicles",
    description=(
        "Trips of businesses that dispatch more than 10,000 a day: Uber and Lyft, earlier also Via "
        "and Juno. About 20 million a month. Trips have no passenger count and no total: the "
        "passenger paid the base fare and the other amounts, except driver_pay."
    ),
    first_month=date(2019, 2, 1),
    columns=(
        Column(
            "hvfhs_license_num",
            pa.string(),
            "License of the business: HV0002 Juno, HV0003 Uber, HV0004 Via, HV0005 Lyft.",
            domain="HV[0-9]{4}",
            required=True,
            never_null=True,
        ),
        Column(
            "dispatching_base_num",
            pa.string(),
            "License of the base that dispatched the trip.",
            domain=_LICENSE,
            required=True,
        ),
        Column(
            "originating_base_num",
            pa.string(),
            "License of the base that received the request; mostly null in Lyft's rows.",
            domain=_LICENSE,
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
        ),
        _time("request_datetime", "When the passenger asked to be picked up"),
        _time(
            "on_scene_datetime",
            "When the driver arrived at the pickup (mostly null in Lyft's rows)",
        ),
        Column(
            "pickup_datetime",
            TIME,
            "When the trip began, New York local time without zone.",
            required=True,
            never_null=True,
            varied=True,
        ),
        Column(
            "dropoff_datetime",
            TIME,
            "When the trip ended, New York local time without zone.",
            required=True,
            never_null=True,
            varied=True,
        ),
        _zone("pickup_location_id", "pickup", "pulocationid"),
        _zone("dropoff_location_id", "dropoff", "dolocationid"),
        Column(
            "trip_miles",
            AMOUNT,
            "Distance of the passenger's trip.",
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
            unit="miles",
        ),
        Column(
            "trip_time",
            SECONDS,
            "Duration of the passenger's trip.",
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
            unit="seconds",
        ),
        dollars(
            "base_passenger_fare",
            "Fare before tolls, tips, taxes and fees. Reversals are negative.",
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
        ),
        dollars("tolls", "Total tolls.", eras=_SINCE_PARQUET, always=_IN_PARQUET),
        dollars("bcf", "Black Car Fund contribution.", eras=_SINCE_PARQUET, always=_IN_PARQUET),
        dollars("sales_tax", "New York State sales tax.", eras=_SINCE_PARQUET, always=_IN_PARQUET),
        dollars(
            "congestion_surcharge",
            "New York State's congestion surcharge.",
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
        ),
        dollars(
            "airport_fee",
            "2.50 for each pickup and dropoff at LaGuardia, Newark and JFK.",
            eras="since 2021",
            always=Era(since=date(2021, 1, 1), unless=("sr_flag",)),
        ),
        dollars("tips", "Tips from the passenger.", eras=_SINCE_PARQUET, always=_IN_PARQUET),
        dollars(
            "driver_pay",
            "The driver's pay, without tolls and tips, after commission, surcharges and taxes.",
            eras=_SINCE_PARQUET,
            always=_IN_PARQUET,
        ),
        _flag("shared_request_flag", "the passenger agreed to share the ride"),
        _flag("shared_match_flag", "the passenger shared the ride with another"),
        _flag("access_a_ride_flag", "the trip was on behalf of the MTA"),
        _flag("wav_request_flag", "the passenger requested a wheelchair-accessible vehicle"),
        _flag("wav_match_flag", "the vehicle was wheelchair-accessible"),
        dollars(
            "cbd_congestion_fee",
            "The MTA's congestion relief zone charge.",
            eras="since 2025-01",
            always=Era(since=date(2025, 1, 1)),
        ),
        Column(
            "sr_flag",
            CODE,
            "1 if the ride was shared, else null. Most businesses only counted matched rides. The "
            "early CSVs have it instead of the flags above.",
            eras="CSV only",
        ),
    ),
    header_marks=("hvfhs_license_num",),
    rules=COMMON_RULES,
    time_column="pickup_datetime",
    end_time_column="dropoff_datetime",
    location_column="pickup_location_id",
    end_location_column="dropoff_location_id",
    measures={
        "miles": "trip_miles",
        "fare": "base_passenger_fare",
        "tip": "tips",
        "congestion_fee": "cbd_congestion_fee",
    },
    opt_in=True,
    synthetic=synthetic_for_hire_months(400_000),
)
