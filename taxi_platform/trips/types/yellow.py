"""Yellow taxis."""

from datetime import date

from taxi_platform.trips.columns import Era, dollars
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
    name="yellow",
    title="Yellow taxis",
    description=(
        "Medallion taxis, which passengers may hail anywhere. The providers of their meters (TPEP) "
        "supply the records."
    ),
    first_month=date(2009, 1, 1),
    columns=(
        *METERED_COLUMNS,
        dollars(
            "airport_fee",
            "For pickups at LaGuardia and JFK.",
            eras="since 2021",
            # The mirror's CSVs, which end in July 2021, do not have it.
            always=Era(since=date(2022, 1, 1)),
        ),
        CBD_CONGESTION_FEE,
        *COORDINATES,
    ),
    # Before the prefixes, only yellow was published: with 2009's names, then with 2010's.
    header_marks=("tpep_*", "trip_pickup_*", "trip_dropoff_*", "surcharge"),
    rules=METERED_RULES,
    time_column="pickup_datetime",
    end_time_column="dropoff_datetime",
    location_column="pickup_location_id",
    end_location_column="dropoff_location_id",
    total="total_amount",
    measures=METERED_MEASURES,
    filled={"passenger_count": "0"},
    synthetic=synthetic_metered_months(
        400_000,
        manhattan=0.8,
        csv_columns=(
            "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance "
            "RatecodeID store_and_fwd_flag PULocationID DOLocationID payment_type fare_amount "
            "extra mta_tax tip_amount tolls_amount improvement_surcharge total_amount "
            "congestion_surcharge"
        ),
        parquet_columns="Airport_fee",
    ),
)
