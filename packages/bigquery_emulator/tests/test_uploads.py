"""Load jobs whose file comes with the request, as Google's client sends frames and files."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from tests.trips import SCHEMA, month, rows

pytestmark = pytest.mark.integration


@pytest.mark.filterwarnings("ignore:Loading:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:Loading:FutureWarning")
def test_a_dataframe_can_be_uploaded(client: bigquery.Client, trips: str) -> None:
    frame = month(1, 3).to_pandas()
    config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE", schema=SCHEMA)

    client.load_table_from_dataframe(frame, f"{trips}$202401", job_config=config).result()

    assert rows(client, f"SELECT COUNT(*), SUM(vendor_id) FROM {trips}") == [(3, 3)]
    found = client.query_and_wait(f"SELECT fare FROM {trips}").to_arrow()
    assert found["fare"].to_pylist() == [1.0] * 3


@pytest.mark.parametrize("size", ["known", "unknown"])
def test_a_file_can_be_uploaded_whole_or_in_chunks(
    client: bigquery.Client, trips: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = month(1, 200_000).set_column(2, "fare", pa.array([float(i) for i in range(200_000)]))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="none")
    length = len(buffer.getvalue())
    buffer.seek(0)
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 256 * 1024)
    config = bigquery.LoadJobConfig(source_format="PARQUET")

    job = client.load_table_from_file(
        buffer, trips, size=length if size == "known" else None, job_config=config
    )
    job.result()

    assert (job.output_rows, job.input_file_bytes) == (200_000, length)
    assert rows(client, f"SELECT SUM(fare) FROM {trips}") == [(sum(range(200_000)),)]
