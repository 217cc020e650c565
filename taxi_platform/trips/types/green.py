"""Green taxis."""

from datetime import date

from taxi_platform.trips.columns import CODE, Column, Era, dollars
from taxi_platform.trips.metered_trips import (
    CBD_CONGESTION_FEE,
    COORDINATES,
    METERED_COLUMNS,
    METERED_MEASURES,
    METERED_RULES,
)
from taxi_platform.trips.synthetic_metered import synthetic_metered_months
from taxi_platform.trips.trip_type import TripType

TRIP_TYPE = TripType(
    name="green",
    title="Green taxis",
    description=(
        "Street hail liveries, which passengers may hail outside Manhattan's core. The providers "
        "of their meters (LPEP) supply the records."
    ),
    first_month=date(2013, 8, 1),
    columns=(
        *METERED_COLUMNS,
        CBD_CONGESTION_FEE,
        dollars("ehail_fee", "E-hail fee; hardly ever set.", eras="since 2013-08", always=Era()),
        Column("trip_type", CODE, "1 street hail, 2 dispatch.", always=Era()),
        *COORDINATES,
    ),
    header_marks=("lpep_*",),
    rules=METERED_RULES,
    time_column="pickup_datetime",
    end_time_column="dropoff_datetime",
    location_column="pickup_location_id",
    end_location_column="dropoff_location_id",
    total="total_amount",
    measures=METERED_MEASURES,
    filled={"passenger_count": "0"},
    synthetic=synthetic_metered_months(
        60_000,
        manhattan=0.3,
        csv_columns=(
            "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID "
            "PULocationID DOLocationID passenger_count trip_distance fare_amount extra mta_tax "
            "tip_amount tolls_amount ehail_fee improvement_surcharge total_amount payment_type "
            "trip_type congestion_surcharge"
        ),
    ),
)
