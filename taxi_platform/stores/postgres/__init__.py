"""Postgres: one trip table for each color, with one child table for each month."""

from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.base import SqlDialect, StoreType, imported_when_opened
from taxi_platform.stores.postgres.settings import PostgresSettings

STORE = StoreType(
    name="postgres",
    label="Postgres",
    description="The month in Postgres, its child table exchanged whole in one short transaction.",
    kinds=frozenset({"postgres"}),
    reads=TripParquet,
    settings=PostgresSettings,
    open=imported_when_opened("taxi_platform.stores.postgres.store:open_store"),
    dialect=SqlDialect(
        weekday="CAST(date_part('isodow', {time}) AS SMALLINT)",
        hour="CAST(date_part('hour', {time}) AS SMALLINT)",
        # Of a trip, nothing that parses the name of a unit: that costs as much as all the rest.
        start_hour="date_bin('1 hour', {time}, TIMESTAMP '2000-01-01')",
        duration="CAST({end} - {start} AS INTERVAL(0))",
        is_plausible="{duration} BETWEEN INTERVAL '1 minute' AND INTERVAL '4 hours'",
        seconds="CAST(EXTRACT(EPOCH FROM {durations}) AS BIGINT)",
        text="CAST({value} AS TEXT)",
        digest="SUBSTR(MD5({text}), 1, 10)",
        number="CAST(CAST('x' || {digest} AS BIT(40)) AS BIGINT)",
    ),
)
