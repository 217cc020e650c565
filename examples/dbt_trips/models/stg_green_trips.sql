{{ config(materialized='view') }}

select
    data_file_month,
    cast(pickup_datetime as date) as pickup_day,
    pickup_location_id,
    payment_type,
    total_amount
from {{ source('trips', 'green_trips') }}
