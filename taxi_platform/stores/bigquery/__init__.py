"""BigQuery: one trip table for each color, with one partition for each month."""

from taxi_platform.stores.base import SqlDialect, StoreType, imported_when_opened
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.gcs.objects import TripObject

STORE = StoreType(
    name="bigquery",
    label="BigQuery",
    description="The month in BigQuery, its partition replaced whole by one load job from GCS.",
    kinds=frozenset({"bigquery"}),
    reads=TripObject,
    settings=BigQuerySettings,
    open=imported_when_opened("taxi_platform.stores.bigquery.store:open_store"),
    dialect=SqlDialect(
        weekday="MOD(EXTRACT(DAYOFWEEK FROM {time}) + 5, 7) + 1",
        hour="EXTRACT(HOUR FROM {time})",
        start_hour="DATETIME_TRUNC({time}, HOUR)",
        duration="DIV(DATETIME_DIFF({end}, {start}, MICROSECOND) + 500000, 1000000)",
        is_plausible="{duration} BETWEEN 60 AND 14400",
        seconds="{durations}",
        text="CAST({value} AS STRING)",
        digest="SUBSTR(TO_HEX(MD5({text})), 1, 10)",
        number="CAST(CONCAT('0x', {digest}) AS INT64)",
    ),
)
