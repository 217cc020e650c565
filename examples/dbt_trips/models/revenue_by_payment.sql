{{ config(materialized='table') }}

select
    trips.data_file_month,
    coalesce(types.payment_name, 'not known') as payment_name,
    count(*) as trips,
    sum(trips.total_amount) as revenue
from {{ ref('stg_green_trips') }} as trips
left join {{ ref('payment_types') }} as types
    on trips.payment_type = types.payment_type
group by 1, 2
