{#- Whole months are replaced: by their partition on BigQuery, by their rows on Postgres. -#}
{{
    config(
        materialized='incremental',
        incremental_strategy='insert_overwrite' if target.type == 'bigquery' else 'delete+insert',
        unique_key=none if target.type == 'bigquery' else 'data_file_month',
        partition_by={'field': 'data_file_month', 'data_type': 'date', 'granularity': 'month'},
    )
}}

select
    data_file_month,
    pickup_day,
    count(*) as trips,
    sum(total_amount) as revenue
from {{ ref('stg_green_trips') }}
{% if is_incremental() %}
where data_file_month >= (select max(known.data_file_month) from {{ this }} as known)
{% endif %}
group by data_file_month, pickup_day
