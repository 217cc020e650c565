"""BigQuery: one trip table for each color, with one partition for each month."""

from collections.abc import Iterator
from contextlib import contextmanager

from taxi_platform.stores.base import StoreType, TableStore
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.gcs.objects import TripObject


@contextmanager
def _open(chosen: BigQuerySettings) -> Iterator[TableStore]:
    from taxi_platform.stores.bigquery.store import open_store

    with open_store(chosen) as store:
        yield store


STORE = StoreType(
    name="bigquery",
    label="BigQuery",
    description="The month in BigQuery, its partition replaced whole by one load job from GCS.",
    kinds=frozenset({"bigquery"}),
    reads=TripObject,
    settings=BigQuerySettings,
    open=_open,
)
