{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['data_file_month', 'pickup_location_id'],
    )
}}

select
    data_file_month,
    pickup_location_id,
    count(*) as trips,
    max(total_amount) as highest_amount
from {{ ref('stg_green_trips') }}
where pickup_location_id is not null
{% if is_incremental() %}
    and data_file_month >= (select max(known.data_file_month) from {{ this }} as known)
{% endif %}
group by data_file_month, pickup_location_id
